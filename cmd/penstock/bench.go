package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"penstock/bench/load"
	"penstock/bench/workload"
)

type benchCmd struct {
	URL      string   `name:"url" required:"" placeholder:"URL" help:"The endpoint, such as http://127.0.0.1:8080."`
	Model    string   `placeholder:"NAME" help:"Default: the first that the endpoint lists."`
	APIKey   []string `name:"api-key" env:"PENSTOCK_API_KEY" placeholder:"KEY,…" help:"Sent as a bearer token; several: of a workload's clients."`
	Endpoint string   `default:"chat" placeholder:"NAME" help:"chat or completions. (${default})"`

	Workload  string  `placeholder:"NAME" help:"A published load: ${workloads}."`
	Trace     string  `placeholder:"FILE" help:"A recorded load: Mooncake's JSON lines or Azure's CSV, plain or zstd."`
	TimeScale float64 `default:"1" placeholder:"X" help:"Of the engines (penstock sim --time-scale): requests come X times as fast, and all times, given and reported, are the engines'. (${default})"`

	Rate        float64       `placeholder:"R" help:"Requests per second, an open loop with Poisson arrivals; of a workload, in its unit."`
	Concurrency int           `placeholder:"N" help:"Requests in flight, a closed loop. (8 without --rate)"`
	Duration    time.Duration `placeholder:"TIME" help:"How long requests go out. (30s without --requests; of a workload, its own)"`
	Ramp        time.Duration `placeholder:"TIME" help:"The rate, or the concurrency, rises from nothing for so long."`
	Requests    int           `placeholder:"N" help:"How many go out."`
	MaxInFlight int           `default:"8192" placeholder:"N" help:"Bounds an open loop: later requests wait, and that counts. (${default})"`
	Seed        uint64        `default:"1" placeholder:"N" help:"The same seed, the same load. (${default})"`

	PromptTokens int           `default:"128" placeholder:"N" help:"Length of each prompt, about. (${default})"`
	OutputTokens int           `default:"64" placeholder:"N" help:"max_tokens. (${default})"`
	IgnoreEOS    bool          `name:"ignore-eos" help:"Ask for all output tokens (vLLM, SGLang)."`
	Stream       bool          `default:"true" negatable:"" help:"Ask for a stream. (yes)"`
	SLOTTFT      time.Duration `name:"slo-ttft" default:"2s" placeholder:"TIME" help:"Longest time to first token of a good request. (${default})"`
	SLOITL       time.Duration `name:"slo-itl" default:"100ms" placeholder:"TIME" help:"Longest mean time between its tokens. (${default})"`
	Timeout      time.Duration `default:"5m" placeholder:"TIME" help:"Of one request. (${default})"`
	JSON         string        `name:"json" placeholder:"FILE" help:"Write the report there; - for standard output instead of the text."`
	HTML         string        `name:"html" placeholder:"FILE" help:"Write a page with curves there."`

	WebSocket bool `name:"websocket" help:"Send requests as messages over WebSockets, one for each that is under way."`
}

// Help is more of bench --help.
func (benchCmd) Help() string {
	return "With --workload or --trace, the load that penstock fleet runs in virtual time comes over HTTP; penstock fleet --help says what each is.\n\n" +
		"Example: penstock sim --instances 5 --profile 7b-a10 --time-scale 10, penstock serve before them, and then\n" +
		"penstock bench --url http://127.0.0.1:8080 --workload w12 --rate 12 --time-scale 10"
}

func (c *benchCmd) config() (load.Config, error) {
	cfg := load.DefaultConfig()
	cfg.URL, cfg.Model, cfg.APIKeys, cfg.Endpoint = c.URL, c.Model, c.APIKey, c.Endpoint
	cfg.Rate, cfg.Concurrency, cfg.Duration, cfg.Requests, cfg.Seed = c.Rate, c.Concurrency, c.Duration, c.Requests, c.Seed
	cfg.PromptTokens, cfg.OutputTokens, cfg.IgnoreEOS, cfg.Stream = c.PromptTokens, c.OutputTokens, c.IgnoreEOS, c.Stream
	cfg.SLOTTFT, cfg.SLOITL, cfg.Timeout = c.SLOTTFT, c.SLOITL, c.Timeout
	cfg.TimeScale, cfg.MaxInFlight, cfg.Ramp = c.TimeScale, c.MaxInFlight, c.Ramp
	cfg.WebSocket = c.WebSocket
	var err error
	switch {
	case c.Workload != "" && c.Trace != "":
		err = errors.New("trace: give it or --workload, not both")
	case c.Workload != "":
		cfg.Workload, err = workload.Named(c.Workload)
	case c.Trace != "":
		cfg.Workload, err = traced(c.Trace)
	}
	return cfg, err
}

func (c *benchCmd) Run(out io.Writer) error {
	cfg, err := c.config()
	if err == nil {
		err = cfg.Validate()
	}
	if err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	files, err := openReports(out, c.JSON, c.HTML)
	if err != nil {
		return err
	}
	defer files.close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	report, err := load.Run(ctx, cfg, progress(os.Stderr))
	if err != nil {
		return err
	}
	err = files.write(&report, report.Page)
	if c.JSON != "-" {
		err = cmp.Or(err, report.WriteText(out))
	}
	if err != nil {
		return err
	}
	if report.Completed == 0 {
		return fmt.Errorf("no request was completed of %d", report.Requests)
	}
	return nil
}

// progress draws a bar in a terminal, and a line every ten seconds elsewhere.
func progress(to *os.File) func(load.Progress) {
	if !isatty.IsTerminal(to.Fd()) {
		last := time.Duration(0)
		return func(p load.Progress) {
			if p.Elapsed-last >= 10*time.Second && p.Done < 1 {
				last = p.Elapsed
				fmt.Fprintf(to, "%3.0f %%  %s\n", 100*p.Done, describe(p))
			}
		}
	}
	const whole = 1000
	bar := progressbar.NewOptions(whole, progressbar.OptionSetWriter(to), progressbar.OptionSetWidth(24),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false), progressbar.OptionClearOnFinish())
	return func(p load.Progress) {
		bar.Describe(describe(p))
		bar.Set(int(whole * min(max(p.Done, 0), 1)))
	}
}

func describe(p load.Progress) string {
	parts := []string{fmt.Sprintf("%d done", p.Completed), fmt.Sprintf("%d in flight", p.InFlight)}
	if p.Warm > 0 {
		parts = append(parts, fmt.Sprintf("%d to warm up", p.Warm))
	}
	if p.Rejected > 0 {
		parts = append(parts, fmt.Sprintf("%d rejected", p.Rejected))
	}
	if p.Errors > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", p.Errors))
	}
	return strings.Join(parts, ", ")
}
