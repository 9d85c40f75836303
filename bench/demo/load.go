package demo

import (
	"context"
	"sync"
	"time"

	"penstock/bench/load"
)

// outcome is what became of requests, by what their clients saw.
type outcome struct {
	completed int
	rejected  int // 429
	cut       int // the answer had begun: it ended with an error event
	failed    int // anything else
	underway  int // the demo's end came first
}

// tally adds outcomes up. Any goroutine may use it.
type tally struct {
	mu sync.Mutex
	outcome
}

func (t *tally) add(r *load.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.completed += r.Completed
	t.rejected += r.Rejected
	t.underway += r.Cut
	for class, n := range r.Errors {
		if class == "stream_error" {
			t.cut += n
		} else {
			t.failed += n
		}
	}
}

func (t *tally) read() outcome {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcome
}

// slice is how much of the steady load is one run of the load generator: what
// became of requests is told at the end of a run.
const slice = time.Second

// traffic sends the demo's load.
type traffic struct {
	url string
	tally
	runs   sync.WaitGroup
	slices uint64
}

// steady sends the next slice of it: chats, and a few long documents.
func (t *traffic) steady(ctx context.Context) {
	t.slices++
	chats, documents := t.base(), t.base()
	chats.Rate, chats.PromptTokens, chats.OutputTokens = 14, 150, 120
	documents.Rate, documents.PromptTokens, documents.OutputTokens = 1, 2500, 60
	for _, c := range []load.Config{chats, documents} {
		c.Duration = slice
		t.send(ctx, c)
	}
}

// burstSize is more at once than all engines can run.
const burstSize = 110

func (t *traffic) burst(ctx context.Context) {
	c := t.base()
	c.Concurrency, c.Requests, c.PromptTokens, c.OutputTokens = burstSize, burstSize, 200, 120
	t.send(ctx, c)
}

func (t *traffic) base() load.Config {
	c := load.DefaultConfig()
	c.URL, c.Model, c.Timeout, c.Seed = t.url, Model, time.Minute, t.slices
	return c
}

// send runs a load beside its caller. One that the end of ctx cut counts with
// what it had.
func (t *traffic) send(ctx context.Context, c load.Config) {
	t.runs.Go(func() {
		if r, err := load.Run(ctx, c, nil); err == nil {
			t.add(&r)
		}
	})
}
