package telemetry

import (
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// A Window's minute is made of slots: what is in it is between 55 and 60 s old
// at most.
const (
	windowSlot  = 5 * time.Second
	windowSlots = 12
)

// Values are kept in microseconds, up to an hour, to two digits: within 1 %,
// for 27 KB a slot.
const (
	windowUnit   = time.Microsecond
	windowMost   = int64(time.Hour / windowUnit)
	windowDigits = 2
)

// Window knows the distribution of durations over the last minute. It has no
// clock: its owner calls Rotate. Any goroutine may use it, under one mutex; an
// observation costs some tens of nanoseconds and no allocation.
type Window struct {
	mu    sync.Mutex
	hist  *hdr.WindowedHistogram
	since time.Time // when the current slot began
}

// WindowStats is what a Window knows, in seconds; all zero where Count is.
type WindowStats struct {
	Max, Avg, Min, P50, P90, P95, P99 float64
	Count                             int64
}

// NewWindow makes an empty one.
func NewWindow() *Window {
	return &Window{hist: hdr.NewWindowed(windowSlots, 1, windowMost, windowDigits)}
}

// Observe counts d in the current slot. One over an hour counts as an hour.
func (w *Window) Observe(d time.Duration) {
	v := min(max(int64(d/windowUnit), 0), windowMost)
	w.mu.Lock()
	defer w.mu.Unlock()
	// It cannot fail: v is within the range that the histogram was made for.
	_ = w.hist.Current.RecordValue(v)
}

// Rotate drops what is older than a minute at now. Call it every second or so.
func (w *Window) Rotate(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		w.since = now
	}
	slots := int64(now.Sub(w.since) / windowSlot)
	for range min(slots, windowSlots) {
		w.hist.Rotate()
	}
	if slots > 0 {
		w.since = w.since.Add(time.Duration(slots) * windowSlot)
	}
}

// Stats sums the last minute up.
func (w *Window) Stats() WindowStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hist.Merge()
	if h.TotalCount() == 0 {
		return WindowStats{}
	}
	seconds := func(v int64) float64 { return float64(v) * windowUnit.Seconds() }
	return WindowStats{
		Max: seconds(h.Max()), Avg: h.Mean() * windowUnit.Seconds(), Min: seconds(h.Min()),
		P50: seconds(h.ValueAtQuantile(50)), P90: seconds(h.ValueAtQuantile(90)),
		P95: seconds(h.ValueAtQuantile(95)), P99: seconds(h.ValueAtQuantile(99)),
		Count: h.TotalCount(),
	}
}
