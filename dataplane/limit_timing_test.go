package dataplane

import "testing"

// What a key's limits cost a request, the clock aside, alone and with others of
// the same key.
func BenchmarkLimiter(b *testing.B) {
	l := limiterOf(Key{RequestsPerMinute: 1 << 50, TokensPerMinute: 1 << 50, MaxInFlight: 1e6})
	through := func(b *testing.B) {
		if l.enter(0) != nil {
			b.Error("refused")
		}
		taken, r := l.reserve(300, 0)
		if r != nil {
			b.Error("refused")
		}
		l.charge(taken, 40, 70, 0)
		l.leave(0, false)
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			through(b)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				through(b)
			}
		})
	})
}
