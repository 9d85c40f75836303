package telemetry

import (
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"
)

// Bounds of histograms, in seconds.
var (
	// LatencyBounds are for a request or its first token: 1 ms to 10 minutes,
	// closest around the usual service objectives.
	LatencyBounds = []float64{.001, .0025, .005, .01, .025, .05, .075, .1, .15, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 60, 120, 300, 600}
	// ITLBounds are for the time between two tokens: 0.5 ms to 10 s.
	ITLBounds = []float64{.0005, .001, .0025, .005, .0075, .01, .015, .02, .025, .03, .04, .05, .06, .08, .1, .15, .2, .3, .5, 1, 2.5, 5, 10}
	// MicroBounds are for what the router does itself: a decision, the way
	// through it. 250 ns to 1 s.
	MicroBounds = []float64{250e-9, 500e-9, 1e-6, 2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1}
)

// Histogram counts durations by fixed upper bounds. Any goroutine may observe
// and read; there is no lock, and each count has cache lines of its own. There
// is no separate total, so a page never shows one that its buckets contradict.
type Histogram struct {
	bounds []int64  // ns, ascending
	les    []string // of each bound, and "+Inf"
	counts []Counter
	sum    atomic.Int64 // ns: 292 years of observed time
	_      [lineSize - 8]byte
}

// NewHistogram makes one with the given bounds, in seconds and ascending. A
// duration counts in the first bucket whose bound it does not exceed.
func NewHistogram(bounds []float64) *Histogram {
	if !slices.IsSorted(bounds) {
		panic("telemetry: histogram bounds do not ascend")
	}
	h := &Histogram{counts: make([]Counter, len(bounds)+1)}
	for _, b := range bounds {
		h.bounds = append(h.bounds, int64(math.Round(b*1e9)))
		h.les = append(h.les, strconv.FormatFloat(b, 'g', -1, 64))
	}
	h.les = append(h.les, "+Inf")
	return h
}

// Observe counts d; a negative one, from a clock that stepped, counts as zero.
func (h *Histogram) Observe(d time.Duration) {
	ns := max(int64(d), 0)
	i, _ := slices.BinarySearch(h.bounds, ns)
	h.counts[i].Inc()
	h.sum.Add(ns)
}

// Count is how many durations were observed.
func (h *Histogram) Count() uint64 {
	var n uint64
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// read returns the buckets' own counts and the sum in seconds.
func (h *Histogram) read() (counts []uint64, sum float64) {
	counts = make([]uint64, len(h.counts))
	for i := range h.counts {
		counts[i] = h.counts[i].Load()
	}
	return counts, float64(h.sum.Load()) / 1e9
}
