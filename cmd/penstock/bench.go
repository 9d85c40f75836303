package main

import (
	"context"
	"encoding/json"
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
)

type benchCmd struct {
	URL      string `name:"url" required:"" placeholder:"URL" help:"The endpoint, such as http://127.0.0.1:8080."`
	Model    string `placeholder:"NAME" help:"Default: the first that the endpoint lists."`
	APIKey   string `name:"api-key" env:"PENSTOCK_API_KEY" placeholder:"KEY" help:"Sent as a bearer token."`
	Endpoint string `default:"chat" placeholder:"NAME" help:"chat or completions. (${default})"`

	Rate        float64       `placeholder:"R" help:"Requests per second, an open loop with Poisson arrivals."`
	Concurrency int           `placeholder:"N" help:"Requests in flight, a closed loop. (8 without --rate)"`
	Duration    time.Duration `placeholder:"TIME" help:"How long requests go out. (30s without --requests)"`
	Requests    int           `placeholder:"N" help:"How many go out."`
	Seed        uint64        `default:"1" placeholder:"N" help:"The same seed, the same load. (${default})"`

	PromptTokens int           `default:"128" placeholder:"N" help:"Length of each prompt, about. (${default})"`
	OutputTokens int           `default:"64" placeholder:"N" help:"max_tokens. (${default})"`
	IgnoreEOS    bool          `name:"ignore-eos" help:"Ask for all output tokens (vLLM, SGLang)."`
	Stream       bool          `default:"true" negatable:"" help:"Ask for a stream. (yes)"`
	SLOTTFT      time.Duration `name:"slo-ttft" default:"2s" placeholder:"TIME" help:"Longest time to first token of a good request. (${default})"`
	SLOITL       time.Duration `name:"slo-itl" default:"100ms" placeholder:"TIME" help:"Longest mean time between its tokens. (${default})"`
	Timeout      time.Duration `default:"5m" placeholder:"TIME" help:"Of one request. (${default})"`
	JSON         string        `name:"json" placeholder:"FILE" help:"Write the report there; - for standard output instead of the text."`

	Workload  string `placeholder:"NAME" help:"Not there yet."`
	Trace     string `placeholder:"FILE" help:"Not there yet."`
	Ramp      string `placeholder:"SPEC" help:"Not there yet."`
	HTML      string `name:"html" placeholder:"FILE" help:"Not there yet."`
	WebSocket bool   `name:"websocket" help:"Not there yet."`
}

func (c *benchCmd) config() load.Config {
	cfg := load.DefaultConfig()
	cfg.URL, cfg.Model, cfg.APIKey, cfg.Endpoint = c.URL, c.Model, c.APIKey, c.Endpoint
	cfg.Rate, cfg.Concurrency, cfg.Duration, cfg.Requests, cfg.Seed = c.Rate, c.Concurrency, c.Duration, c.Requests, c.Seed
	cfg.PromptTokens, cfg.OutputTokens, cfg.IgnoreEOS, cfg.Stream = c.PromptTokens, c.OutputTokens, c.IgnoreEOS, c.Stream
	cfg.SLOTTFT, cfg.SLOITL, cfg.Timeout = c.SLOTTFT, c.SLOITL, c.Timeout
	cfg.Later = load.Later{Workload: c.Workload, Trace: c.Trace, Ramp: c.Ramp, HTML: c.HTML, WebSocket: c.WebSocket}
	return cfg
}

func (c *benchCmd) Run(out io.Writer) error {
	cfg := c.config()
	if err := cfg.Validate(); err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	report, err := load.Run(ctx, cfg, progress(os.Stderr))
	if err != nil {
		return err
	}
	if err := c.write(out, &report); err != nil {
		return err
	}
	if report.Completed == 0 {
		return fmt.Errorf("no request was completed of %d", report.Requests)
	}
	return nil
}

func (c *benchCmd) write(out io.Writer, report *load.Report) error {
	if c.JSON != "-" {
		if err := report.WriteText(out); err != nil {
			return err
		}
	}
	if c.JSON == "" {
		return nil
	}
	b, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if c.JSON == "-" {
		_, err = out.Write(b)
		return err
	}
	return os.WriteFile(c.JSON, b, 0o644)
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
	if p.Rejected > 0 {
		parts = append(parts, fmt.Sprintf("%d rejected", p.Rejected))
	}
	if p.Errors > 0 {
		parts = append(parts, fmt.Sprintf("%d failed", p.Errors))
	}
	return strings.Join(parts, ", ")
}
