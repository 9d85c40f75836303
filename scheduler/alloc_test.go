//go:build !race

// Under the race detector sync.Pool forgets at random, so that everything would
// allocate: make test runs these apart.

package scheduler

import "testing"

func TestDecidingAllocatesNothing(t *testing.T) {
	for _, policy := range Policies() {
		s := fleetOf(t, 64, policy)
		for _, i := range s.Instances() {
			i.says(3, 0)
		}
		q := ask("m")
		if n := testing.AllocsPerRun(1000, func() {
			q.Rand = next(q.Rand)
			d := s.Pick(q)
			d.Reservation.FirstByte(0)
			d.Reservation.Tokens(3, 0)
			d.Reservation.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations a decision", policy, n)
		}
	}
}

func TestRecordingAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 16, 200} {
		s, _ := recorded(t, n, "predictive", true)
		q := ask("m")
		q.ID = "0123456789abcdef0123456789abcdef"
		decide := func() {
			q.Rand = next(q.Rand)
			d := s.Pick(q)
			d.Reservation.FirstByte(0)
			d.Reservation.End()
		}
		for range 2000 { // every slot has its room
			decide()
		}
		if n := testing.AllocsPerRun(1000, decide); n != 0 {
			t.Errorf("%v allocations a decision", n)
		}
	}
}
