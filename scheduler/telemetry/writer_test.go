package telemetry

import (
	"math"
	"testing"
	"time"
)

func TestSamples(t *testing.T) {
	f := func(write func(w *Writer), want string) {
		t.Helper()
		var w Writer
		write(&w)
		if got := string(w.Bytes()); got != want {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
	}
	f(func(w *Writer) { w.Family("a_total", "counter", "Things \\ of\ntwo \"lines\".") },
		"# HELP a_total Things \\\\ of\\ntwo \"lines\".\n# TYPE a_total counter\n")
	f(func(w *Writer) { w.Int("a_total", 7) }, "a_total 7\n")
	f(func(w *Writer) { w.Sample("a", 0.25, "x", "1", "y", "") }, "a{x=\"1\",y=\"\"} 0.25\n")
	f(func(w *Writer) { w.Sample("a", math.Inf(1)) }, "a +Inf\n")
	f(func(w *Writer) { w.Sample("a", math.NaN()) }, "a NaN\n")
	f(func(w *Writer) { w.Int("a", 1, "x", "q\"b\\n\nü") }, "a{x=\"q\\\"b\\\\n\\nü\"} 1\n")
	f(func(w *Writer) { w.Int("a", 1, "x", "\xff\xfe!") }, "a{x=\"\uFFFD!\"} 1\n")
	f(func(w *Writer) { w.Int("a", 1); w.Reset(); w.Int("b", 2) }, "b 2\n")
}

func TestHistogramIsCumulative(t *testing.T) {
	h := NewHistogram([]float64{0.001, 0.01})
	for _, d := range []time.Duration{-time.Second, time.Millisecond, time.Millisecond + 1, time.Second} {
		h.Observe(d)
	}
	var w Writer
	w.Histogram("t_seconds", h, "k", "v")
	want := `t_seconds_bucket{k="v",le="0.001"} 2
t_seconds_bucket{k="v",le="0.01"} 3
t_seconds_bucket{k="v",le="+Inf"} 4
t_seconds_sum{k="v"} 1.002000001
t_seconds_count{k="v"} 4
`
	if got := string(w.Bytes()); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	if h.Count() != 4 {
		t.Errorf("got a count of %d, want 4", h.Count())
	}
}
