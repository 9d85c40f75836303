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
// that comes. Who has been idle is lifted to the least of those who wait:
// idleness is no credit.
type service struct {
	got   [serviceKeys]atomic.Int64
	floor int64 // the least of those who waited last; the line's own
}

// serviceKeys bounds the account; keys beyond it share places.
const serviceKeys = 4096

func (s *service) of(key int) int64 { return s.got[key%serviceKeys].Load() }

func (s *service) charge(key int32, cost int64) { s.got[key%serviceKeys].Add(cost) }

// join lifts a key that had nobody in line to the least of those who have.
func (s *service) join(key int, active func(yield func(int) bool)) {
	least, some := int64(0), false
	for k := range active {
		if v := s.of(k); k == key {
			return // at another priority
		} else if !some || v < least {
			least, some = v, true
		}
	}
	if !some {
		least = s.floor
	}
	s.floor = max(s.floor, least)
	if lift := least - s.of(key); lift > 0 {
		s.charge(int32(key), lift)
	}
}
