package scheduler

import "sync/atomic"

// What tokens count in the account of who is served how much (VTC: Sheng et al.,
// OSDI 2024, 4.1): those of a prompt that are computed, and those of an answer.
const (
	promptCost = 1
	answerCost = 2
)

// service is how much each key has been served, in token costs: a request's when
// it is given away, with the answer that it is expected to have, put right as
// that comes. Who joins the line is lifted to those who did not idle: idleness is
// no credit, nor is what is given back of the time before.
type service struct {
	keys [serviceKeys]account
	time atomic.Int64 // the most that anybody has got, whether somebody waited or not
}

// account is a key's.
type account struct {
	got    atomic.Int64
	lifted atomic.Int64 // to this, the last time
}

// serviceKeys bounds the account; keys beyond it share places.
const serviceKeys = 4096

func (s *service) of(key int) int64 { return s.keys[key%serviceKeys].got.Load() }

// charge adds what a key gets, or takes back what it did not.
func (s *service) charge(key int32, cost int64) {
	a := &s.keys[key%serviceKeys]
	if cost < 0 {
		a.giveBack(-cost)
		return
	}
	raise(&s.time, a.got.Add(cost))
}

// giveBack never goes below the last lift: that forgot what it is for.
func (a *account) giveBack(cost int64) {
	for {
		got := a.got.Load()
		if a.got.CompareAndSwap(got, max(got-cost, min(got, a.lifted.Load()))) {
			return
		}
	}
}

// lift gives a key no less than the floor.
func (s *service) lift(key int, floor int64) {
	if a := &s.keys[key%serviceKeys]; a.got.Load() < floor {
		a.lifted.Store(floor)
		raise(&a.got, floor)
	}
}

// raise makes v no less than n.
func raise(v *atomic.Int64, n int64) {
	for {
		if was := v.Load(); was >= n || v.CompareAndSwap(was, n) {
			return
		}
	}
}
