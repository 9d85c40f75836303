package scheduler

import (
	"math"
	"testing"
)

// What is remembered of a moment is not told of another, and is as good as what
// is computed anew.
func TestCrowdingIsOfTheMoment(t *testing.T) {
	var m crowd
	for _, answers := range []float64{1, 2, 7, 100, 3000} {
		for share := 0.03; share < 0.94; share += 0.0137 {
			for range 2 {
				got, want := m.of(share, answers), crowding(share, answers/share)
				if math.Abs(got-want) > 0.02*want+1e-6 {
					t.Fatalf("share %.3f, %v answers: %v, want %v", share, answers, got, want)
				}
			}
		}
	}
}

func TestCrowdingIsBounded(t *testing.T) {
	var m crowd
	for _, share := range []float64{0, 1e-9, 0.95, 1, 7, math.Inf(1)} {
		for _, answers := range []float64{0, 0.5, 1 << 30, math.Inf(1)} {
			if v := m.of(share, answers); !(v >= 0) || v > 1e4 {
				t.Errorf("share %v, %v answers: %v", share, answers, v)
			}
		}
	}
}

// Nobody waits for a place where there are many and few are taken, and everybody
// where all are.
func TestCrowdingGrowsWithTheShare(t *testing.T) {
	for _, k := range []float64{2, 16, 128} {
		if a, b, c := crowding(0.2, k), crowding(0.6, k), crowding(0.94, k); !(a < b && b < c) {
			t.Errorf("%v places: %v, %v, %v", k, a, b, c)
		}
	}
}
