package telemetry

import (
	"testing"
	"time"
)

func BenchmarkHistogramObserve(b *testing.B) {
	h := NewHistogram(LatencyBounds)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Observe(12 * time.Millisecond)
		}
	})
}

func BenchmarkWindowObserve(b *testing.B) {
	w := NewWindow()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.Observe(12 * time.Millisecond)
		}
	})
}
