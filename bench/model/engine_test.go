package model

import (
	"errors"
	"testing"
	"time"
)

func TestOneRequest(t *testing.T) {
	r := newRig(t, nil)
	s := r.submit(Request{PromptTokens: 10, MaxTokens: 3})
	if from, ok := r.Next(); !ok || from != 10*time.Millisecond {
		t.Fatalf("next step at %v, want 10ms", from)
	}
	if _, ok := r.Begin(9 * time.Millisecond); ok {
		t.Fatal("scheduled within its overhead")
	}
	r.drain()
	want := Times{Scheduled: 10 * time.Millisecond, FirstToken: 20 * time.Millisecond, Finished: 220 * time.Millisecond}
	if s.Times() != want || !s.Finished() || s.Generated() != 3 {
		t.Errorf("got %+v, %d tokens, want %+v, 3 tokens", s.Times(), s.Generated(), want)
	}
	totals := r.Stats().Totals
	if want := (Totals{PromptTokens: 10, GeneratedTokens: 3, PrefixQueries: 10, Finished: 1, Steps: 3}); totals != want {
		t.Errorf("got %+v, want %+v", totals, want)
	}
	r.check()
}

func TestPromptAlone(t *testing.T) {
	r := newRig(t, nil)
	s := r.submit(Request{PromptTokens: 10})
	if _, done := r.step(); len(done) != 1 || done[0] != s || !s.Finished() || s.Generated() != 0 {
		t.Errorf("got %v, want the sequence, finished without a token", done)
	}
	r.check()
}

func TestBatchIsInOrderOfArrival(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.MaxNumSeqs = 2 })
	var all []*Sequence
	for range 5 {
		all = append(all, r.submit(Request{PromptTokens: 4, MaxTokens: 2}))
	}
	f := func(running, waiting int, tokens ...*Sequence) {
		t.Helper()
		_, got := r.step()
		if len(got) != len(tokens) {
			t.Fatalf("%d tokens, want %d", len(got), len(tokens))
		}
		for i := range got {
			if got[i] != tokens[i] {
				t.Errorf("token %d is not its sequence's", i)
			}
		}
		if s := r.Stats(); s.Running != running || s.Waiting != waiting {
			t.Errorf("%d running, %d waiting, want %d, %d", s.Running, s.Waiting, running, waiting)
		}
		r.check()
	}
	f(2, 3, all[0], all[1])
	f(0, 3, all[0], all[1])
	f(2, 1, all[2], all[3])
	f(0, 1, all[2], all[3])
	f(1, 0, all[4])
	f(0, 0, all[4])
}

func TestPrefillIsChunkedAndSharesStepsWithDecoding(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.MaxBatchedTokens = 8 })
	first := r.submit(Request{PromptTokens: 4, MaxTokens: 10})
	second := r.submit(Request{PromptTokens: 18, MaxTokens: 1})
	f := func(prefill, decoding int, took time.Duration, tokens int) {
		t.Helper()
		step, got := r.step()
		if step.PrefillTokens != prefill || step.Decoding != decoding || step.Duration != took || len(got) != tokens {
			t.Errorf("got %+v and %d tokens, want %d prefill, %d decoding, %v, %d tokens",
				step, len(got), prefill, decoding, took, tokens)
		}
		r.check()
	}
	f(8, 0, 8*time.Millisecond, 1)   // all of the first, and 4 tokens of the second
	f(7, 1, 107*time.Millisecond, 1) // the decoding one takes one token of the budget
	f(7, 1, 107*time.Millisecond, 2) // and the second has its first token
	f(0, 1, 100*time.Millisecond, 1)
	if first.Generated() != 4 || !second.Finished() {
		t.Errorf("%d tokens of the first, want 4; the second finished: %v", first.Generated(), second.Finished())
	}
}

func TestStepGrowsWithBatchAndContext(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.DecodeSeq, p.DecodeKV = time.Millisecond, time.Microsecond })
	r.submit(Request{PromptTokens: 10, MaxTokens: 3})
	r.submit(Request{PromptTokens: 6, MaxTokens: 3})
	r.step()
	step, _ := r.step()
	if want := 102*time.Millisecond + 16*time.Microsecond; step.Duration != want {
		t.Errorf("got %v, want %v", step.Duration, want)
	}
}

func TestPreemptionTakesTheYoungest(t *testing.T) {
	// Eight blocks of four: both prompts fit, what they generate does not.
	r := newRig(t, func(p *Profile) { p.KVBlocks, p.MaxModelLen = 8, 32 })
	old := r.submit(prompt(1, 12, 12, 4))
	young := r.submit(prompt(2, 12, 12, 4))
	late := r.submit(prompt(3, 4, 1, 4))
	for r.Stats().Preemptions == 0 {
		r.step()
		r.check()
	}
	if old.State() != Running || young.State() != Waiting || young.Preempted() != 1 {
		t.Fatalf("old is %v, young %v after %d preemptions", old.State(), young.State(), young.Preempted())
	}
	if late.State() == Running {
		t.Error("a new one was admitted in the step that preempted")
	}
	before := young.Generated()
	r.drain()
	r.check()
	if old.Preempted() != 0 || !old.Finished() || !young.Finished() || !late.Finished() {
		t.Error("the oldest was preempted, or one did not finish")
	}
	if before == 0 || young.Generated() != 12 {
		t.Errorf("young had %d tokens when preempted, %d at the end", before, young.Generated())
	}
	if late.Times().Finished < young.Times().Scheduled {
		t.Error("the late one overtook the preempted one")
	}
	if got := r.Stats().GeneratedTokens; got != 25 {
		t.Errorf("%d tokens generated, want 25: none is counted twice", got)
	}
}

func TestAbortFreesBlocks(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.MaxNumSeqs = 2 })
	running, kept := r.submit(Request{PromptTokens: 20, MaxTokens: 9}), r.submit(Request{PromptTokens: 4, MaxTokens: 9})
	waiting := r.submit(Request{PromptTokens: 4, MaxTokens: 9})
	r.step()
	used := r.Stats().UsedBlocks
	if !r.Abort(r.now, running) || r.Stats().UsedBlocks != used-5 || running.State() != Aborted {
		t.Errorf("%d blocks used, want %d", r.Stats().UsedBlocks, used-5)
	}
	r.check()
	if r.Stats().Waiting != 1 || !r.Abort(r.now, waiting) || r.Stats().Waiting != 0 {
		t.Errorf("%d waiting, want 0", r.Stats().Waiting)
	}
	if r.Abort(r.now, running) {
		t.Error("aborted twice")
	}
	r.drain()
	if r.Abort(r.now, kept) || r.Stats().UsedBlocks != 0 || r.Stats().Aborted != 2 || r.Stats().Finished != 1 {
		t.Errorf("at the end: %+v", r.Stats())
	}
	r.check()
}

func TestAbortWithinAStep(t *testing.T) {
	r := newRig(t, nil)
	gone, kept := r.submit(Request{PromptTokens: 4, MaxTokens: 9}), r.submit(Request{PromptTokens: 4, MaxTokens: 9})
	r.Begin(time.Second)
	r.Abort(time.Second, gone)
	if got := r.End(2 * time.Second); len(got) != 1 || got[0] != kept || gone.Generated() != 0 {
		t.Errorf("%d tokens, want the other's only", len(got))
	}
	r.check()
}

func TestWhatIsRefused(t *testing.T) {
	r := newRig(t, nil)
	f := func(q Request, tooLong bool) {
		t.Helper()
		if _, err := r.Submit(0, q); err == nil || errors.Is(err, ErrTooLong) != tooLong {
			t.Errorf("got %v, want an error, too long: %v", err, tooLong)
		}
	}
	f(Request{}, false)
	f(Request{PromptTokens: 1, MaxTokens: -1}, false)
	f(Request{PromptTokens: 65}, true)
	f(Request{PromptTokens: 1, MaxTokens: 64}, true)
	f(Request{PromptTokens: 8, Blocks: []Hash{1}}, false)
	f(Request{PromptTokens: 8, Output: func() Hash { return 1 }}, false)
	if _, ok := r.Next(); ok {
		t.Error("a refused request is in the engine")
	}
}
