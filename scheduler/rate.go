package scheduler

import "sync/atomic"

// rateOver is the time that a rate is taken over, ns: 8.6 s, a power of two
// because decisions divide by it.
const (
	rateBits = 33
	rateOver = 1 << rateBits
)

// rate counts events per second over the last rateOver to twice that, and what
// they weigh. Any goroutine may add and read; who turns the page at the same
// moment as another adds may lose that.
type rate struct {
	page            atomic.Int64 // number of the current one
	events, weights atomic.Int64
	before, weighed atomic.Int64 // of the page before
}

func (r *rate) add(weight, now int64) {
	r.turn(now)
	r.events.Add(1)
	r.weights.Add(weight)
}

// turn begins a new page, if it is time.
func (r *rate) turn(now int64) {
	page, at := r.page.Load(), now>>rateBits
	if at <= page || !r.page.CompareAndSwap(page, at) {
		return
	}
	events, weights := r.events.Swap(0), r.weights.Swap(0)
	if at != page+1 {
		events, weights = 0, 0
	}
	r.before.Store(events)
	r.weighed.Store(weights)
}

// moment is a time as rates are read at it.
type moment struct {
	page int64
	rest float64 // of the page, the share that is still to come
}

func momentOf(now int64) moment {
	return moment{page: now >> rateBits, rest: 1 - float64(now&(rateOver-1))/rateOver}
}

// perSecond makes a rate of a count.
const perSecond = 1e9 / rateOver

// counts reads how many there were in rateOver.
func (r *rate) counts(m moment) (events, weight float64) {
	events, weight = float64(r.events.Load()), float64(r.weights.Load())
	switch m.page - r.page.Load() {
	case 0:
		return events + float64(r.before.Load())*m.rest, weight + float64(r.weighed.Load())*m.rest
	case 1:
		return events * m.rest, weight * m.rest
	}
	return 0, 0
}
