package load

import (
	"math"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot/plotter"
)

// latencies are durations up to an hour, to three digits.
type latencies struct {
	hist           *hdr.Histogram // of ns, in steps of a microsecond at the finest
	least, longest time.Duration
	sum            float64 // ns
}

func newLatencies() latencies {
	return latencies{hist: hdr.New(int64(time.Microsecond), int64(time.Hour), 3), least: math.MaxInt64}
}

func (l *latencies) add(d time.Duration) {
	d = min(max(d, 0), time.Hour)
	// It cannot fail: d is within the range that the histogram was made for.
	_ = l.hist.RecordValue(int64(d))
	l.least, l.longest = min(l.least, d), max(l.longest, d)
	l.sum += float64(d)
}

// Latency is a distribution in milliseconds, to the microsecond; all 0 where
// nothing was measured.
type Latency struct {
	Mean float64 `json:"mean"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
}

func (l *latencies) latency() Latency {
	n := l.hist.TotalCount()
	if n == 0 {
		return Latency{}
	}
	ms := func(ns float64) float64 { return round(ns/1e6, 3) }
	at := func(q float64) float64 {
		// A bucket's bounds can lie outside of what is in it.
		d := min(max(time.Duration(l.hist.ValueAtQuantile(q)), l.least), l.longest)
		return ms(float64(d))
	}
	return Latency{
		Mean: ms(l.sum / float64(n)), Min: ms(float64(l.least)), Max: ms(float64(l.longest)),
		P50: at(50), P90: at(90), P95: at(95), P99: at(99),
	}
}

// share is what part of all took at most how long: in milliseconds, in percent.
func (l *latencies) share() plotter.XYs {
	if l.hist.TotalCount() == 0 {
		return nil
	}
	var xys plotter.XYs
	for q := 0.5; q <= 100; q += 0.5 {
		xys = append(xys, plotter.XY{X: float64(l.hist.ValueAtQuantile(q)) / 1e6, Y: q})
	}
	return xys
}

// round rounds to so many decimals.
func round(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}
