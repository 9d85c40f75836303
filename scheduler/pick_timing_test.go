package scheduler

import (
	"fmt"
	"testing"
)

func BenchmarkPick(b *testing.B) {
	for _, policy := range Policies() {
		for _, n := range []int{16, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", policy, n), func(b *testing.B) {
				s := fleetOf(b, n, policy)
				for _, i := range s.Instances() {
					i.says(3, 0)
				}
				q := ask("m")
				b.ReportAllocs()
				for b.Loop() {
					q.Rand = next(q.Rand)
					d := s.Pick(q)
					d.Reservation.End()
				}
			})
		}
	}
}
