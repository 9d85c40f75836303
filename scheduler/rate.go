package scheduler

import "sync/atomic"

// rateOver is the time that a rate is taken over, ns: 8.6 s, a power of two
// because decisions divide by it.
const (
	rateBits = 33
	rateOver = 1 << rateBits
)

// rate counts events per second over the last rateOver to twice that. Any
// goroutine may add and read; who turns the page at the same moment as another
// adds may lose that.
type rate struct {
	page    atomic.Int64 // number of the current one
	current atomic.Int64
	before  atomic.Int64
}

func (r *rate) add(n, now int64) {
	r.turn(now)
	r.current.Add(n)
}

// turn begins a new page, if it is time.
func (r *rate) turn(now int64) {
	page, at := r.page.Load(), now>>rateBits
	if at <= page || !r.page.CompareAndSwap(page, at) {
		return
	}
	n := r.current.Swap(0)
	if at != page+1 {
		n = 0
	}
	r.before.Store(n)
}

// perSecond reads the rate.
func (r *rate) perSecond(now int64) float64 {
	at, into := now>>rateBits, float64(now&(rateOver-1))/rateOver
	current, before := float64(r.current.Load()), float64(r.before.Load())
	switch at - r.page.Load() {
	case 0:
	case 1:
		current, before = 0, current
	default:
		return 0
	}
	return (before*(1-into) + current) * 1e9 / rateOver
}
