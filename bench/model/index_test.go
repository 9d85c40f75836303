package model

import (
	"math/rand/v2"
	"testing"
)

// Any order of additions and removals gives what a map gives.
func TestIndexIsAMap(t *testing.T) {
	const most = 40
	for seed := range uint64(50) {
		dice := rand.New(rand.NewPCG(seed, 0))
		x, want := newIndex(most), make(map[Hash]int32)
		for step := range 4000 {
			// Neighbours, so that many meet.
			h := Hash(1 + dice.IntN(60))
			block, known := want[h]
			if !known {
				block = none
			}
			if got := x.find(h); got != block {
				t.Fatalf("seed %d, step %d: %d is at %d, want %d", seed, step, h, got, block)
			}
			switch {
			case known && dice.IntN(2) == 0:
				x.remove(h)
				delete(want, h)
			case len(want) < most:
				if x.add(h, int32(step)) == known {
					t.Fatalf("seed %d, step %d: added twice", seed, step)
				}
				if !known {
					want[h] = int32(step)
				}
			}
			if x.len != len(want) {
				t.Fatalf("seed %d, step %d: %d entries, want %d", seed, step, x.len, len(want))
			}
		}
	}
}
