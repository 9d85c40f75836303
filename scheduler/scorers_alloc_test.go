//go:build !race

package scheduler

import "testing"

func TestDecidingByPrefixAllocatesNothing(t *testing.T) {
	for _, policy := range Policies() {
		s := fleetOf(t, 64, policy)
		for _, i := range s.Instances() {
			i.says(3, 0)
		}
		q := ask("m")
		q.PromptTokens, q.BlockTokens, q.Prefix = 2048, 64, make([]uint64, 32)
		for n := range q.Prefix {
			q.Prefix[n] = uint64(n + 1)
		}
		for range 1000 { // until the index has grown
			d := s.Pick(q)
			d.Reservation.FirstByte(0)
			d.Reservation.End()
		}
		if n := testing.AllocsPerRun(1000, func() {
			q.Rand = next(q.Rand)
			d := s.Pick(q)
			d.Reservation.FirstByte(0)
			d.Reservation.End()
		}); n != 0 {
			t.Errorf("%s: %v allocations a decision", policy, n)
		}
	}
}
