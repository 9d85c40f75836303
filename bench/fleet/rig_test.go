package fleet

import (
	"context"
	"testing"
	"time"

	"penstock/bench/model"
	"penstock/bench/workload"
)

// configOf is a small run of a workload.
func configOf(t testing.TB, name string, rate float64, change ...func(*Config)) Config {
	t.Helper()
	w, err := workload.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Workload, cfg.Params = w, workload.Params{Rate: rate, Seed: 1}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

func do(t testing.TB, cfg Config) *Result {
	t.Helper()
	res, err := Run(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// scripted is a run whose requests a test makes itself.
func scripted(t testing.TB, cfg Config, requests ...*workload.Request) *Result {
	t.Helper()
	r, err := begin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	next := func() *workload.Request {
		if len(requests) == 0 {
			return nil
		}
		q := requests[0]
		requests = requests[1:]
		return q
	}
	r.stream, r.coming = next, next()
	if err := r.play(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	return r.finish()
}

// ask is a request of a text of its own.
func ask(at time.Duration, text uint64, tokens, output int) *workload.Request {
	return &workload.Request{
		At: at, Tokens: tokens, Output: output, MaxTokens: -1, Answer: text<<8 + 1, Prompt: []workload.Span{{Text: text << 8, Tokens: tokens}},
	}
}

func profile(t testing.TB, name string) model.Profile {
	t.Helper()
	p, err := model.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
