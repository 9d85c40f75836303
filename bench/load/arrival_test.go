package load

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

func TestArrivalsArePoisson(t *testing.T) {
	const n, rate = 100_000, 250.0
	a := newArrivals(rate, 42)
	var sum, squares, last float64
	for range n {
		at := a.next().Seconds()
		gap := at - last
		if gap < 0 {
			t.Fatalf("an arrival at %v after one at %v", at, last)
		}
		sum, squares, last = sum+gap, squares+gap*gap, at
	}
	mean := sum / n
	deviation := math.Sqrt(squares/n - mean*mean)
	// Exponential gaps: the deviation is the mean. 100,000 of them are within
	// 0.3 % of it by one sigma, and the seed is fixed.
	f := func(name string, got float64) {
		t.Helper()
		if math.Abs(got*rate-1) > 0.02 {
			t.Errorf("%s of gaps is %v, want %v", name, got, 1/rate)
		}
	}
	f("mean", mean)
	f("deviation", deviation)
}

func TestArrivalsAreTheSeeds(t *testing.T) {
	times := func(seed uint64) (out [100]time.Duration) {
		a := newArrivals(10, seed)
		for i := range out {
			out[i] = a.next()
		}
		return out
	}
	first := times(1)
	if times(1) != first {
		t.Error("one seed gives two runs")
	}
	if times(2) == first {
		t.Error("two seeds give one run")
	}
}

func TestSleepUntil(t *testing.T) {
	c := clock{time.Now()}
	at := c.now() + 4*time.Millisecond
	if !c.sleepUntil(t.Context(), at) || c.now() < at-fine {
		t.Errorf("woke at %v, want %v", c.now(), at)
	}
	if !c.sleepUntil(t.Context(), 0) {
		t.Error("a time in the past is none to wait for")
	}
}

func TestSleepEndsWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := clock{time.Now()}
		if c.sleepUntil(ctx, time.Hour) {
			t.Error("slept through the end")
		}
		if got := c.now(); got != time.Second {
			t.Errorf("woke at %v, want 1s", got)
		}
	})
}
