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

// BenchmarkPickCold is the decision of a CPU that did something else meanwhile:
// what it reads of the instances is in no cache near it.
func BenchmarkPickCold(b *testing.B) {
	other := make([]byte, 64<<20)
	for _, n := range []int{16, 200} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _ := recorded(b, n, "predictive", false)
			q := ask("m")
			for range b.N {
				b.StopTimer()
				for i := 0; i < len(other); i += 64 {
					other[i]++
				}
				q.Rand = next(q.Rand)
				b.StartTimer()
				d := s.Pick(q)
				b.StopTimer()
				d.Reservation.End()
				b.StartTimer()
			}
		})
	}
}
