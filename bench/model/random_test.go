package model

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// load drives an engine with requests of few texts and much too many tokens,
// and takes some of them back. check is called between any two calls.
func load(r *rig, seed uint64, requests int, check func()) []Times {
	dice := rand.New(rand.NewPCG(seed, 0))
	var all []*Sequence
	for len(all) < requests {
		for range dice.IntN(3) {
			all = append(all, r.submit(prompt(dice.Uint32N(4), 1+dice.IntN(40), dice.IntN(20), r.profile.BlockSize)))
		}
		if from, ok := r.Next(); ok {
			r.now = max(r.now, from)
		}
		step, ok := r.Begin(r.now)
		check()
		if dice.IntN(4) == 0 && len(all) > 0 {
			r.Abort(r.now, all[dice.IntN(len(all))])
			check()
		}
		if ok {
			r.now += step.Duration
			r.End(r.now)
			check()
		}
	}
	r.drain()
	check()
	var times []Times
	for _, s := range all {
		times = append(times, s.Times())
	}
	return times
}

func TestRandomLoad(t *testing.T) {
	for seed := range uint64(20) {
		r := newRig(t, func(p *Profile) { p.KVBlocks, p.MaxNumSeqs = 16+int(seed), 3+int(seed%5) })
		load(r, seed, 300, r.check)
		s := r.Stats()
		if s.Running+s.Waiting+s.UsedBlocks != 0 {
			t.Errorf("seed %d: something is left: %+v", seed, s)
		}
		if s.Preemptions == 0 || s.PrefixHits == 0 || s.Aborted == 0 || s.Finished+s.Aborted < 300 {
			t.Errorf("seed %d: the load has not shown everything: %+v", seed, s)
		}
	}
}

func TestSameCallsSameResults(t *testing.T) {
	run := func() ([]Times, Totals) {
		r := newRig(t, nil)
		times := load(r, 7, 500, func() {})
		return times, r.Stats().Totals
	}
	times, totals := run()
	again, totalsAgain := run()
	if !slices.Equal(times, again) || totals != totalsAgain {
		t.Error("two runs of the same calls differ")
	}
}

func TestProfiles(t *testing.T) {
	for _, name := range Profiles() {
		p, err := Named(name)
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(q *Profile) { *q = p })
		s := r.submit(Request{PromptTokens: 1000, MaxTokens: 2})
		r.drain()
		if want := p.Overhead + 1000*p.PrefillToken; s.Times().FirstToken != want {
			t.Errorf("%s: first token after %v, want %v", name, s.Times().FirstToken, want)
		}
		itl := s.Times().Finished - s.Times().FirstToken
		if name != "instant" && (itl < p.Decode || itl > p.Decode*11/10) {
			t.Errorf("%s: %v between two tokens of one sequence, want about %v", name, itl, p.Decode)
		}
	}
	if _, err := Named("9b"); err == nil {
		t.Error("an unknown name was found")
	}
}

func TestValidate(t *testing.T) {
	f := func(change func(p *Profile)) {
		t.Helper()
		p := small()
		change(&p)
		if _, err := New(p); err == nil {
			t.Errorf("accepted: %+v", p)
		}
	}
	f(func(p *Profile) { p.BlockSize = 0 })
	f(func(p *Profile) { p.KVBlocks = -1 })
	f(func(p *Profile) { p.MaxNumSeqs = mostTokens + 1 })
	f(func(p *Profile) { p.Decode = -1 })
	f(func(p *Profile) { p.PrefillToken = 2 * time.Hour })
	f(func(p *Profile) { p.MaxModelLen = 65 })
}

func TestDecodingAllocatesNothing(t *testing.T) {
	p, _ := Named("8b-h100")
	r := newRig(t, func(q *Profile) { *q = p })
	for i := range 64 {
		r.submit(Request{PromptTokens: 100 + i, MaxTokens: 100_000})
	}
	for range 2000 { // their chains have grown
		r.step()
	}
	if n := testing.AllocsPerRun(500, func() { r.step() }); n != 0 {
		t.Errorf("%v allocations in a step, want 0", n)
	}
}
