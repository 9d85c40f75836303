package dataplane

import (
	"sync/atomic"
	"time"
)

// bucket lets a number through each minute. It begins full, so that a whole
// minute's worth may come at once, and refills evenly. What is known only
// afterwards may overdraw it.
//
// All that is kept is when it would be full again: taking puts that off, and
// refilling is no more than the time that passes.
type bucket struct {
	limit int64        // a minute's; 0: none
	full  atomic.Int64 // when, ns on the gateway's clock
}

const (
	minute = int64(time.Minute)
	// mostDebt bounds all times, so that none runs over. What a key used has to be
	// paid, however long that takes: what can be true of it is for others to say.
	mostDebt = 365 * 24 * int64(time.Hour)
)

// take takes n, or says how long until it could.
func (b *bucket) take(n, now int64) (wait int64) {
	price := b.price(n)
	for {
		old := b.full.Load()
		full := max(old, now) + price
		if wait := full - now - minute; wait > 0 {
			return wait
		}
		if b.full.CompareAndSwap(old, full) {
			return 0
		}
	}
}

// settle replaces what was taken by what was used.
func (b *bucket) settle(taken, used, now int64) {
	if b.limit == 0 || taken == used {
		return
	}
	more := b.price(used) - b.price(taken)
	for {
		old := b.full.Load()
		// From now on: what ran over while it was full is not there to pay with.
		full := min(max(old, now)+more, now+minute+mostDebt)
		if b.full.CompareAndSwap(old, full) {
			return
		}
	}
}

// left is how much could be taken now.
func (b *bucket) left(now int64) int64 {
	empty := max(b.full.Load()-now, 0)
	return max(int64(float64(minute-empty)*float64(b.limit)/float64(minute)), 0)
}

// price is the time in which n come back.
func (b *bucket) price(n int64) int64 {
	return int64(min(float64(n)*float64(minute)/float64(b.limit), float64(mostDebt)))
}
