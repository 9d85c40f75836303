package scheduler

import (
	"sync/atomic"
	"time"
)

// rampFor is how long an instance that comes back takes to its full share.
const (
	rampFor   = 10 * time.Second
	rampWhole = 1 << 16
	rampStart = rampWhole / 10
)

// ramp is the share of its requests that an instance gets: whole, but for a
// while after an ejection. The zero value is whole.
type ramp struct {
	missing atomic.Uint32 // of rampWhole
}

// begin starts at a tenth.
func (r *ramp) begin() { r.missing.Store(rampWhole - rampStart) }

// advance sets the share of one that came back so long ago.
func (r *ramp) advance(since time.Duration) {
	if since >= rampFor {
		r.missing.Store(0)
		return
	}
	gone := int64(rampWhole-rampStart) * int64(since) / int64(rampFor)
	r.missing.Store(uint32(rampWhole - rampStart - gone))
}

func (r *ramp) over() bool { return r.missing.Load() == 0 }

// admits says whether an instance with so many requests may have one more,
// where n others have others: its share of what they have on average, and
// always one.
func (r *ramp) admits(requests, others, n int64) bool {
	share := int64(rampWhole - r.missing.Load())
	return requests == 0 || requests*n*rampWhole < share*others
}
