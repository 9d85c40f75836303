package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"penstock/bench/replay"
	"penstock/cmd/penstock/config"
	"penstock/scheduler"
	"penstock/scheduler/record"
)

type replayCmd struct {
	Files    []string `arg:"" optional:"" name:"file" help:"Recordings of penstock serve --record, the oldest first: FILE.1 FILE; - for standard input."`
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
		if err := isPolicy(name); err != nil {
			return usage(err)
		}
	}
	switch {
	case len(c.Files) == 0:
		return usage(errors.New("which recording? penstock serve --record FILE makes one"))
	case c.Policies == nil:
		c.Policies = scheduler.Policies()
	case len(c.Policies) == 0:
		return usage(isPolicy(""))
	}
	sources, closeAll, err := openRecordings(c.Files)
	defer closeAll()
	if err != nil {
		return usage(err)
	}
	files := record.Join(sources...)
	report, err := replay.Run(files, c.Policies)
	if err != nil {
		return err
	}
	return c.write(out, report, files.Damage())
}

// isPolicy says of a policy that there is none what serve --policy says.
func isPolicy(name string) error {
	if name == "" { // which serve takes for its own
		return errors.New("--policy needs a name: " + strings.Join(scheduler.Policies(), ", "))
	}
	_, err := scheduler.NewReplay(name)
	if err == nil {
		return nil
	}
	_, said := config.Load("", config.Flags{Policy: name})
	return cmp.Or(said, fmt.Errorf("--%w", err))
}

// openRecordings opens all of them before the first is read.
func openRecordings(paths []string) (list []record.Source, closeAll func(), err error) {
	closeAll = func() {
		for _, f := range list {
			f.(*os.File).Close()
		}
	}
	for _, path := range paths {
		f := os.Stdin
		if path != "-" {
			if f, err = os.Open(path); err != nil {
				return list, closeAll, err
			}
		}
		list = append(list, f)
		if s, err := f.Stat(); err == nil && s.IsDir() {
			return list, closeAll, fmt.Errorf("%s is a directory, want a recording", path)
		}
	}
	return list, closeAll, nil
}

// write writes the report. Where nothing was decided there is none for people.
func (c *replayCmd) write(out io.Writer, report *replay.Report, damage error) error {
	if c.JSON {
		to := json.NewEncoder(out)
		to.SetIndent("", "  ")
		return to.Encode(report)
	}
	if damage != nil {
		fmt.Fprintf(out, "Damaged: %v. What follows there is left out.\n", damage)
	}
	if report.Decisions == 0 {
		text := "no decision is in " + strings.Join(c.Files, ", ")
		if report.Cut {
			text += ", as far as it can be read"
		}
		return errors.New(text)
	}
	return report.WriteText(out)
}
