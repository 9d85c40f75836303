package scheduler

import (
	"fmt"
	"testing"

	"penstock/scheduler/engine"
)

func BenchmarkPick(b *testing.B) {
	for _, policy := range Policies() {
		for _, n := range []int{16, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", policy, n), func(b *testing.B) {
				s := fleetOf(b, n, policy)
				for k, i := range s.Instances() {
					i.says(k%5, 0, func(r *engine.Reading) { r.KVCapacityTokens, r.KVUsage, r.Limit = 400_000, 0.5, 256 })
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

// BenchmarkShare is the comparison of instances that is made now and then, by a
// request's goroutine.
func BenchmarkShare(b *testing.B) {
	for _, n := range []int{16, 256, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := fleetOf(b, n, "predictive")
			for _, i := range s.Instances() {
				i.begin(&fast)
				for range 10 {
					i.speed.FirstToken(1000, 0, 0, 0.23)
				}
			}
			for b.Loop() {
				s.share(0)
			}
		})
	}
}
