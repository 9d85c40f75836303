package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"penstock/bench/fleet"
	"penstock/bench/load"
	"penstock/bench/workload"
)

// setting is one load, on the fleet that its workload was made for.
type setting struct {
	workload string
	rate     float64
	duration time.Duration // of what is measured, in the engines' time
	scale    float64       // as many times as fast
}

// settings are near the limit, where policies differ. A scale is what two cores
// keep up with: 30 µs for each token, of engines, router and clients together.
var settings = []setting{
	{"w1", 30, 20 * time.Second, 2.2},
	{"w12", 14, 120 * time.Second, 8},
}

// options are the flags.
type options struct {
	penstock, workloads, policies string
	rate, scale                   float64
}

func parse() (o options) {
	flag.StringVar(&o.penstock, "penstock", "bin/penstock", "the binary of Penstock")
	flag.StringVar(&o.workloads, "workloads", "w1,w12", "which of them")
	flag.StringVar(&o.policies, "policies", "predictive,llm-d,smg-cache-aware,least-token,round-robin", "which policies")
	flag.Float64Var(&o.rate, "rate", 0, "another rate, of all workloads")
	flag.Float64Var(&o.scale, "time-scale", 0, "how many times as fast, other than by default")
	flag.Parse()
	return o
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		fmt.Fprintln(os.Stderr, "policies:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	for _, s := range settings {
		if !slices.Contains(strings.Split(o.workloads, ","), s.workload) {
			continue
		}
		if o.rate > 0 {
			s.rate = o.rate
		}
		if o.scale > 0 {
			s.scale = o.scale
		}
		if err := s.compare(ctx, o.penstock, strings.Split(o.policies, ",")); err != nil {
			return err
		}
	}
	return nil
}

// compare runs every policy, after it was foretold.
func (s *setting) compare(ctx context.Context, penstock string, policies []string) error {
	w, err := workload.Named(s.workload)
	if err != nil {
		return err
	}
	foretold, err := s.foretell(ctx, w, policies)
	if err != nil {
		return err
	}
	var rows []row
	for n, policy := range policies {
		measured, err := s.measure(ctx, penstock, w, policy)
		if err != nil {
			return fmt.Errorf("%s with %s: %w", s.workload, policy, err)
		}
		r := row{policy, measured, foretold.Rows[n]}
		fmt.Fprintln(os.Stderr, strings.Join(r.cells(), "  "))
		rows = append(rows, r)
	}
	return s.print(os.Stdout, w, rows)
}

// foretell is `penstock fleet`.
func (s *setting) foretell(ctx context.Context, w *workload.Workload, policies []string) (*fleet.Report, error) {
	sweep := fleet.Sweep{Config: fleet.DefaultConfig(), Policies: policies, Rates: []float64{s.rate}}
	sweep.Workload, sweep.Params = w, workload.Params{Seed: seed, Duration: s.duration}
	return sweep.Run(ctx, nil)
}

const seed = 1

// measure starts everything anew: no cache has what another policy left in it.
func (s *setting) measure(ctx context.Context, penstock string, w *workload.Workload, policy string) (load.Report, error) {
	r, err := start(ctx, penstock, w, policy, s.scale)
	if err != nil {
		return load.Report{}, err
	}
	defer r.stop()
	cfg := load.DefaultConfig()
	cfg.URL, cfg.Model, cfg.Workload, cfg.Rate, cfg.Duration, cfg.TimeScale, cfg.Seed = r.url, modelName, w, s.rate, s.duration, s.scale, seed
	cfg.SLOTTFT, cfg.SLOITL, cfg.Timeout = fleet.Objective.TTFT, fleet.Objective.ITL, time.Hour
	report, err := load.Run(ctx, cfg, nil)
	if err == nil {
		err = ctx.Err()
	}
	return report, err
}
