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
	a := newArrivals(rate, 0, 42)
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

func TestRateRises(t *testing.T) {
	a := newArrivals(100, 100*time.Second, 1)
	var came [4]float64 // in each 50 s
	for at := a.next(); at < 200*time.Second; at = a.next() {
		came[at/(50*time.Second)]++
	}
	for i, want := range []float64{1250, 3750, 5000, 5000} {
		if math.Abs(came[i]-want) > 4*math.Sqrt(want) {
			t.Errorf("%v came in %d..%d s, want about %v", came[i], 50*i, 50*i+50, want)
		}
	}
}

func TestArrivalsAreTheSeeds(t *testing.T) {
	times := func(seed uint64) (out [100]time.Duration) {
		a := newArrivals(10, 0, seed)
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
	c := clock{time.Now(), 1}
	at := c.now() + 4*time.Millisecond
	if !c.sleepUntil(t.Context(), at) || c.now() < at-fine {
		t.Errorf("woke at %v, want %v", c.now(), at)
	}
	if !c.sleepUntil(t.Context(), 0) {
		t.Error("a time in the past is none to wait for")
	}
}

func TestClockIsScaled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock{time.Now(), 10}
		time.Sleep(time.Second)
		if c.now() != 10*time.Second || c.until(30*time.Second) != 2*time.Second {
			t.Errorf("after 1 s it is %v, and 30 s come in %v; want 10s and 2s", c.now(), c.until(30*time.Second))
		}
	})
}

func TestSleepEndsWithTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := clock{time.Now(), 1}
		if c.sleepUntil(ctx, time.Hour) {
			t.Error("slept through the end")
		}
		if got := c.now(); got != time.Second {
			t.Errorf("woke at %v, want 1s", got)
		}
	})
}
