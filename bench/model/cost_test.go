package model

import (
	"testing"
	"time"
)

func TestPromptsAreTakenInOneAfterTheOther(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.Intake, p.IntakeToken = 5*time.Millisecond, time.Millisecond })
	r.submit(Request{PromptTokens: 4, MaxTokens: 1})
	r.submit(Request{PromptTokens: 6, MaxTokens: 1})
	for _, want := range []time.Duration{(5 + 4 + 10) * time.Millisecond, (9 + 5 + 6 + 10) * time.Millisecond} {
		if from, ok := r.Next(); !ok || from != want {
			t.Errorf("next step at %v, want %v", from, want)
		}
		r.step()
	}
	r.now = time.Second // it has long been idle
	r.submit(Request{PromptTokens: 4, MaxTokens: 1})
	if from, _ := r.Next(); from != r.now+19*time.Millisecond {
		t.Errorf("next step at %v, want 19ms after %v", from, r.now)
	}
	r.drain()
	r.check()
}

func TestAttentionCostsTheSameInChunks(t *testing.T) {
	for _, budget := range []int{32, 8, 5} {
		r := newRig(t, func(p *Profile) {
			p.MaxBatchedTokens, p.PrefillToken, p.PrefillKV = budget, 0, 1024*time.Millisecond
		})
		s := r.submit(Request{PromptTokens: 16, MaxTokens: 1})
		r.drain()
		if took, want := s.Times().FirstToken-s.Times().Scheduled, (16*15/2)*time.Second/1000; took != want {
			t.Errorf("%d tokens in a step: %v, want %v", budget, took, want)
		}
	}
}

func TestAttentionGoesOverWhatIsCached(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.PrefillToken, p.PrefillKV = 0, 1024*time.Millisecond })
	r.submit(Request{PromptTokens: 8, MaxTokens: 1, Blocks: []Hash{1, 2}})
	r.drain()
	s := r.submit(Request{PromptTokens: 10, MaxTokens: 1, Blocks: []Hash{1, 2}})
	r.drain()
	if took := s.Times().FirstToken - s.Times().Scheduled; s.Cached() != 8 || took != (8+9)*time.Millisecond {
		t.Errorf("%v with %d cached, want 17ms with 8", took, s.Cached())
	}
}
