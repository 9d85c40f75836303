package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"penstock/bench/sim"
)

type simCmd struct {
	Listen      string        `default:"127.0.0.1:9100" placeholder:"ADDR" help:"Of the first instance; the others follow on the next ports. (${default})"`
	Instances   int           `default:"1" placeholder:"N" help:"How many. (${default})"`
	Model       string        `default:"llama2" placeholder:"NAME" help:"The model that they serve. (${default})"`
	Engine      string        `default:"vllm" placeholder:"KIND" help:"vllm, vllm-old, sglang, bladellm. (${default})"`
	Profile     string        `default:"8b-h100" placeholder:"NAME" help:"How fast: 8b-h100, 32b-h100x2, 70b-h100x4, 7b-a10, 8b-l4, qwen3-32b-h100x2, instant. (${default})"`
	TimeScale   float64       `default:"1" placeholder:"X" help:"10: everything ten times faster. (${default})"`
	IdleTimeout time.Duration `default:"5s" placeholder:"TIME" help:"When an idle connection is closed. (${default})"`
	IdleLeast   time.Duration `placeholder:"TIME" help:"Close idle connections at random between this and the above."`
	APIKey      string        `name:"api-key" placeholder:"KEY" help:"Wanted under /v1."`
	Seed        uint64        `default:"1" placeholder:"N" help:"Of output lengths and of what faults meet. (${default})"`

	MaxNumSeqs       int `placeholder:"N" help:"Requests that run at once."`
	MaxBatchedTokens int `placeholder:"N" help:"Tokens of one step."`
	MaxModelLen      int `placeholder:"N" help:"Tokens of one request's context."`
	KVBlocks         int `name:"kv-blocks" placeholder:"N" help:"Blocks of the KV cache."`
	BlockSize        int `placeholder:"N" help:"Tokens of a block."`
	KVEvents         int `name:"kv-events" placeholder:"PORT" help:"Publish KV events (not there yet)."`
}

// Help is more of sim --help.
func (simCmd) Help() string {
	return "WebSockets: /v1/echo says what it hears, and engine vllm has the shape of its /v1/realtime.\n\n" +
		"An instance fails on demand (docs/faults.md has every way): POST /_sim/fault with a kind of " + sim.FaultKinds + ", DELETE heals.\n\n" +
		"Example: penstock sim --instances 4, and then\n" +
		`curl http://127.0.0.1:9100/_sim/fault -d '{"kind": "hang", "for": "10s"}'`
}

func (c *simCmd) config() sim.Config {
	return sim.Config{
		Listen: c.Listen, Instances: c.Instances, Model: c.Model, Engine: c.Engine, Profile: c.Profile,
		MaxNumSeqs: c.MaxNumSeqs, MaxBatchedTokens: c.MaxBatchedTokens, MaxModelLen: c.MaxModelLen,
		KVBlocks: c.KVBlocks, BlockSize: c.BlockSize, TimeScale: c.TimeScale, IdleTimeout: c.IdleTimeout, IdleLeast: c.IdleLeast,
		APIKey: c.APIKey, Seed: c.Seed, KVEvents: c.KVEvents,
		Exit: func(int) { os.Exit(exitFailed) },
	}
}

func (c *simCmd) Run(out io.Writer) error {
	cfg := c.config()
	if err := cfg.Validate(); err != nil {
		return usage(fmt.Errorf("--%w", err))
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	fleet, err := sim.Start(cfg, log)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "simulated %s with model %s (%s) at %s\n", cfg.Engine, cfg.Model, cfg.Profile, strings.Join(fleet.URLs(), " "))
	<-ctx.Done()
	return fleet.Close()
}
