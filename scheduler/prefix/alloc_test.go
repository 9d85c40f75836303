//go:build !race

package prefix

import "testing"

func TestNothingIsAllocated(t *testing.T) {
	x, slots := filled(t, 16)
	text := prompt(1, long)
	chain := Chain(nil, 1, text, long)
	into := make([]int32, len(slots))
	seed := uint64(0)
	f := func(name string, do func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	f("Chain", func() { seed++; chain = Chain(chain[:0], seed, text, long) })
	f("Match", func() { x.Match(chain, slots, into) })
	f("Insert", func() { seed++; chain = Chain(chain[:0], seed, text, long); x.Insert(slots[0], chain) })
	f("Insert again", func() { x.Insert(slots[0], chain) })
	f("Undo", func() { seed++; chain = Chain(chain[:0], seed, text, long); x.Undo(x.Insert(slots[0], chain)) })
}
