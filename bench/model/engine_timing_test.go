package model

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkStep is one step of a batch of 256 that decodes.
func BenchmarkStep(b *testing.B) {
	p, _ := Named("8b-h100")
	// Room for contexts as long as the benchmark gets.
	r := newRig(b, func(q *Profile) { *q = p; q.KVBlocks, q.MaxModelLen = 1<<20, 1<<20 })
	start := func() {
		for range 256 {
			r.submit(Request{PromptTokens: 200, MaxTokens: 50_000})
		}
		for r.Stats().Running < 256 || r.Stats().GeneratedTokens < 256 {
			r.step()
		}
	}
	start()
	b.ReportAllocs()
	for b.Loop() {
		if r.Stats().Running == 0 {
			start()
		}
		r.step()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "steps/s")
	b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkSequence is one chat of 220 prompt and 190 output tokens on average,
// a third of the prompt shared, through an engine at its limit.
func BenchmarkSequence(b *testing.B) {
	p, _ := Named("8b-h100")
	r := newRig(b, func(q *Profile) { *q = p })
	dice := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		text := dice.Uint32()
		blocks := make([]Hash, 220/16)
		for i := range blocks {
			if blocks[i] = Hash(text)<<8 + Hash(i) + 1; i < 4 {
				blocks[i] = Hash(text%16)<<8 + Hash(i) + 1
			}
		}
		at := uint64(text) << 20
		r.submit(Request{
			PromptTokens: 220, MaxTokens: 1 + int(dice.ExpFloat64()*190), Blocks: blocks,
			Output: func() Hash { at++; return Hash(at) },
		})
		for r.queue.len >= 256 {
			r.step()
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sequences/s")
}
