package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"penstock/bench/replay"
	"penstock/scheduler"
)

type replayCmd struct {
	File     string   `arg:"" help:"A recording of penstock serve --record; - for standard input."`
	Policies []string `name:"policy" aliases:"policies" placeholder:"NAME,…" help:"${policies}. Default: all."`
	JSON     bool     `name:"json" help:"JSON instead of the table."`
}

// Help is more of replay --help.
func (replayCmd) Help() string {
	return "Each decision is asked about as it was: who would have got this request. Regret is what the choice costs above the cheapest, " +
		"by the predictions of that moment. What other choices would have led to is not known from a recording: penstock fleet simulates that.\n\n" +
		"Example: penstock serve -c penstock.yaml --record decisions.zst; penstock replay decisions.zst --policy predictive,round-robin"
}

func (c *replayCmd) Run(out io.Writer) error {
	for _, name := range c.Policies {
		if _, err := scheduler.NewReplay(name); err != nil {
			return usage(fmt.Errorf("--%w", err))
		}
	}
	if c.Policies == nil {
		c.Policies = scheduler.Policies()
	}
	in := os.Stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return usage(err)
		}
		defer f.Close()
		in = f
	}
	report, err := replay.Run(in, c.Policies)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if !c.JSON {
		return report.WriteText(out)
	}
	to := json.NewEncoder(out)
	to.SetIndent("", "  ")
	return to.Encode(report)
}
