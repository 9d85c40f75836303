package engine

import (
	"bufio"
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkRead reads the full page of a real vLLM 0.32, beside what one would
// write first: a bufio.Scanner, strings and maps, and every series kept.
func BenchmarkRead(b *testing.B) {
	page := golden(b, "real-vllm-0.32.metrics")
	want := goldens["real-vllm-0.32.metrics"]

	b.Run("needed", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(page)))
		p := profileOf(VLLM)
		var r Reading
		for b.Loop() {
			var sum tally
			p.text.read(page, &sum)
			sum.fill(&r)
		}
		if r.GenerationTokens != want.GenerationTokens {
			b.Fatalf("got %+v", r)
		}
	})
	b.Run("needed-lean", func(b *testing.B) {
		b.ReportAllocs()
		page := golden(b, "vllm-0.32-lean.metrics")
		b.SetBytes(int64(len(page)))
		p := profileOf(VLLM)
		for b.Loop() {
			var sum tally
			p.text.read(page, &sum)
		}
	})
	b.Run("naive", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(page)))
		var all map[string]float64
		for b.Loop() {
			all = naive(page)
		}
		if all["vllm:generation_tokens_total"] != float64(want.GenerationTokens) {
			b.Fatalf("got %v", all["vllm:generation_tokens_total"])
		}
	})
}

func naive(page []byte) map[string]float64 {
	sums := make(map[string]float64)
	lines := bufio.NewScanner(bytes.NewReader(page))
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] == "#" {
			continue
		}
		name, _, _ := strings.Cut(words[0], "{")
		if v, err := strconv.ParseFloat(words[len(words)-1], 64); err == nil {
			sums[name] += v
		}
	}
	return sums
}
