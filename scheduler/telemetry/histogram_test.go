package telemetry

import (
	"sync"
	"testing"
	"time"
)

func TestBoundsAscend(t *testing.T) {
	for _, b := range [][]float64{LatencyBounds, ITLBounds, MicroBounds} {
		h := NewHistogram(b)
		for i := 1; i < len(h.bounds); i++ {
			if h.bounds[i] <= h.bounds[i-1] {
				t.Errorf("bound %v is not above %v", b[i], b[i-1])
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("bounds that descend were taken")
		}
	}()
	NewHistogram([]float64{2, 1})
}

func TestObserveFromManyGoroutines(t *testing.T) {
	h, w := NewHistogram(MicroBounds), NewWindow()
	var c Counter
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 1000 {
				h.Observe(time.Duration(i) * time.Microsecond)
				w.Observe(time.Duration(i) * time.Microsecond)
				c.Inc()
			}
		})
	}
	wg.Wait()
	if h.Count() != 4000 || w.Stats().Count != 4000 || c.Load() != 4000 {
		t.Errorf("got %d, %d and %d observations, want 4000", h.Count(), w.Stats().Count, c.Load())
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	h, w := NewHistogram(LatencyBounds), NewWindow()
	var c Counter
	if n := testing.AllocsPerRun(1000, func() {
		h.Observe(12 * time.Millisecond)
		w.Observe(12 * time.Millisecond)
		c.Add(2)
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
