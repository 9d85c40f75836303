package telemetry

import (
	"math"
	"testing"
	"time"
)

func TestWindowStats(t *testing.T) {
	w := NewWindow()
	if got := w.Stats(); got != (WindowStats{}) {
		t.Errorf("got %+v of an empty window, want zeros", got)
	}
	for i := 1; i <= 100; i++ {
		w.Observe(time.Duration(i) * 10 * time.Millisecond)
	}
	w.Observe(-1)
	w.Observe(2 * time.Hour)
	s := w.Stats()
	f := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 0.01*want {
			t.Errorf("%s: got %v, want %v within 1 %%", name, got, want)
		}
	}
	f("min", s.Min, 0)
	f("p50", s.P50, 0.5)
	f("p90", s.P90, 0.91)
	f("p95", s.P95, 0.96)
	f("p99", s.P99, 1.00)
	f("max", s.Max, 3600)
	f("avg", s.Avg, (50.5+3600)/102)
	f("count", float64(s.Count), 102)
}

func TestWindowForgetsAfterAMinute(t *testing.T) {
	w := NewWindow()
	at := func(seconds int) time.Time { return time.Unix(1000, 0).Add(time.Duration(seconds) * time.Second) }
	f := func(seconds int, want int64) {
		t.Helper()
		w.Rotate(at(seconds))
		if got := w.Stats().Count; got != want {
			t.Errorf("after %d s: got %d observations, want %d", seconds, got, want)
		}
	}
	f(0, 0)
	w.Observe(time.Second)
	f(30, 1)
	w.Observe(time.Second)
	f(54, 2)
	f(61, 1)
	f(60, 1) // a clock that steps back changes nothing
	f(91, 0)
	w.Observe(time.Second)
	f(10_000, 0) // an owner that slept for hours
	w.Observe(time.Second)
	f(10_001, 1)
}
