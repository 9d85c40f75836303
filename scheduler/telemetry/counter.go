package telemetry

import "sync/atomic"

// lineSize is what two neighbouring words must be apart so that writers of the
// one do not slow down those of the other: two cache lines of 64 bytes, as
// CPUs prefetch them in pairs.
const lineSize = 128

// Counter only grows. The zero value is ready, any goroutine may use it; it
// fills its cache lines alone, so that an array of counters does not share any.
type Counter struct {
	n atomic.Uint64
	_ [lineSize - 8]byte
}

// Inc adds one.
func (c *Counter) Inc() { c.n.Add(1) }

// Add adds n.
func (c *Counter) Add(n uint64) { c.n.Add(n) }

// Load is the count so far.
func (c *Counter) Load() uint64 { return c.n.Load() }
