package scheduler

import (
	"fmt"
	"testing"
)

// BenchmarkRecord is the record of a decision alone: what it costs beside it.
func BenchmarkRecord(b *testing.B) {
	for _, n := range []int{16, 64, 256} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, _ := recorded(b, n, "predictive", false)
			q := ask("m")
			q.ID = "0123456789abcdef0123456789abcdef"
			sc := new(scratch)
			d := s.pick(q, sc)
			b.ReportAllocs()
			for b.Loop() {
				s.note(q, &d, sc)
			}
		})
	}
}
