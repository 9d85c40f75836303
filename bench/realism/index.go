package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"sync/atomic"

	"penstock/scheduler/record"
)

// compareIndex has the router before two engines, and holds what it took for
// cached against what they found.
func (o *options) compareIndex(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "realism")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	engines, err := startEngines(ctx, o, dir, 2)
	if err != nil {
		return err
	}
	for _, e := range engines {
		defer e.stop()
	}
	r, err := startRouter(ctx, o.penstock, dir, engines)
	if err != nil {
		return err
	}
	defer r.stop()
	var answered atomic.Int64
	done := progress("chats", int(chatsRate*chatsLast.Seconds())*turns, &answered)
	all, err := conversations(ctx, newClient(r.url, served), &answered)
	done()
	if err != nil {
		return err
	}
	decisions, err := r.decisions()
	if err != nil {
		return err
	}
	guesses, err := match(all, decisions)
	if err != nil {
		return err
	}
	return printIndex(os.Stdout, guesses)
}

// guess is what the router thought of a request, beside what was true.
type guess struct {
	turn
	prompt   int // tokens, estimated
	indexed  int // of them, that the index found there
	believed int // of them, that it reckoned with: as much of it as it trusts
}

// match finds the decision that sent each request where it was answered.
func match(all []turn, decisions []record.Decision) ([]guess, error) {
	sent := make(map[string]*record.Decision)
	for n := range decisions { // the newest first
		if d := &decisions[n]; d.Verdict == record.Picked && sent[d.RequestID] == nil {
			sent[d.RequestID] = d
		}
	}
	var guesses []guess
	for _, t := range all {
		d := sent[t.ID]
		if d == nil || d.Chosen() < 0 {
			return nil, fmt.Errorf("request %s: its decision is not among the %d that the router told", t.ID, len(decisions))
		}
		c := &d.Candidates[d.Chosen()]
		guesses = append(guesses, guess{
			turn: t, prompt: int(d.Prompt), indexed: int(min(c.Hits*d.BlockTokens, d.Prompt)), believed: int(d.Prompt - c.Fresh),
		})
	}
	return guesses, nil
}

// precision is what is told of many guesses.
type precision struct {
	requests               int
	prompt, guessed        int     // tokens: true, estimated
	cached, indexed, taken int     // tokens: true, found by the index, reckoned with
	bias                   float64 // mean of what the index said too much, in prompts
	skew                   float64 // the same, each as a share of its own idea of the prompt's length
	within                 float64 // share of requests that it was at most a tenth of the prompt off
}

func precisionOf(guesses []guess) (p precision) {
	near := 0
	for _, g := range guesses {
		p.requests++
		p.prompt, p.guessed = p.prompt+g.Prompt, p.guessed+g.prompt
		p.cached, p.indexed, p.taken = p.cached+g.Cached, p.indexed+g.indexed, p.taken+g.believed
		off := float64(g.indexed-g.Cached) / float64(max(g.Prompt, 1))
		p.bias += off
		p.skew += float64(g.indexed)/float64(max(g.prompt, 1)) - float64(g.Cached)/float64(g.Prompt)
		if math.Abs(off) <= 0.1 {
			near++
		}
	}
	n := float64(max(p.requests, 1))
	p.bias, p.skew, p.within = p.bias/n, p.skew/n, float64(near)/n
	return p
}
