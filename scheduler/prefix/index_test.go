package prefix

import (
	"sync"
	"sync/atomic"
	"testing"
)

// rig is an index of instances, and how they are asked in a line.
type rig struct {
	*testing.T
	*Index
}

func (r rig) open(capacity int) Slot {
	r.Helper()
	s, err := r.Open(capacity)
	if err != nil {
		r.Fatal(err)
	}
	return s
}

func (r rig) has(s Slot, chain []uint64, want int) {
	r.Helper()
	into := []int32{-1}
	if r.Match(chain, []Slot{s}, into); int(into[0]) != want {
		r.Errorf("slot %d has %d of %d blocks, want %d", s, into[0], len(chain), want)
	}
}

func (r rig) holds(s Slot, want int) {
	r.Helper()
	if got := r.Len(s); got != want {
		r.Errorf("slot %d holds %d blocks, want %d", s, got, want)
	}
}

func TestLeastRecentlyUsedLeafFirst(t *testing.T) {
	r := rig{t, New(1000, golden)}
	s := r.open(10)
	a, b, c := fork(1, 4, 1, 6), fork(1, 4, 2, 6), fork(2, 0, 0, 1)
	r.Insert(s, a)
	r.Insert(s, b) // shares 4 with a: 8 in all
	r.Insert(s, a)
	r.Insert(s, c)
	r.Insert(s, fork(3, 0, 0, 2)) // one too many: the end of b, used least lately
	r.has(s, b, 5)
	r.Insert(s, fork(3, 0, 0, 4)) // the rest of b's own, then the end of a
	r.has(s, b, 4)
	r.has(s, a, 5)
	r.has(s, c, 1)
	r.holds(s, 10)
	r.Insert(s, fork(4, 0, 0, 6)) // the trunk last, from its end; c was used since
	r.has(s, a, 0)
	r.has(s, c, 0)
	r.has(s, fork(3, 0, 0, 4), 4)
}

func TestLongerThanCapacity(t *testing.T) {
	r := rig{t, New(1000, golden)}
	s := r.open(10)
	r.Insert(s, fork(2, 0, 0, 7))
	long := fork(1, 0, 0, 50)
	added := r.Insert(s, long)
	r.has(s, long, 10)
	r.holds(s, 10)
	r.Undo(added)
	r.holds(s, 0)
	none := r.open(0)
	r.Undo(r.Insert(none, long))
	r.holds(none, 0)
}

func TestUndo(t *testing.T) {
	r := rig{t, New(1000, golden)}
	trunk, a, b := fork(1, 4, 0, 4), fork(1, 4, 1, 20), fork(1, 10, 1, 30)

	s := r.open(100) // only what it added
	r.Insert(s, trunk)
	added := r.Insert(s, a)
	r.Undo(added)
	r.has(s, a, 4)
	r.Undo(added) // and once
	r.holds(s, 4)

	added = r.Insert(s, a) // not what another uses
	r.Insert(s, a[:10])
	r.Undo(added)
	r.has(s, a, 10)
	r.Insert(s, a)
	r.Undo(Added{})
	r.has(s, a, 20)

	s = r.open(30) // not what was evicted, and the rest all the same
	added = r.Insert(s, a)
	r.Insert(s, fork(2, 0, 0, 15))
	r.has(s, a, 15)
	r.Undo(added)
	r.holds(s, 15)
	r.has(s, fork(2, 0, 0, 15), 15)

	added = r.Insert(s, b) // nothing of a later instance
	r.Close(s)
	if again := r.open(50); again != s {
		t.Fatalf("slot %d instead of %d", again, s)
	}
	r.Insert(s, b)
	r.Undo(added)
	r.has(s, b, 30)
	added = r.Insert(s, a)
	r.Clear(s)
	r.Insert(s, a)
	r.Undo(added)
	r.has(s, a, 20)

	s = r.open(400) // and while the cache grew and shrank
	added = r.Insert(s, a)
	r.Insert(s, fork(2, 0, 0, 300))
	r.Resize(s, 310)
	r.Undo(added)
	r.has(s, a, 0)
	r.holds(s, 300)
}

func TestClosedSlotShowsNothingOfTheOldOne(t *testing.T) {
	r := rig{t, New(1000, golden)}
	chain := fork(1, 0, 0, 50)
	s := r.open(100)
	r.Insert(s, chain)
	r.Close(s)
	r.Close(s) // is given away once nevertheless
	r.has(s, chain, 0)
	r.Insert(s, chain)
	r.Resize(s, 100)
	r.Insert(s, chain)
	r.holds(s, 0)
	if again := r.open(100); again != s {
		t.Fatalf("slot %d instead of %d", again, s)
	}
	r.has(s, chain, 0)
	if other := r.open(100); other == s {
		t.Fatal("one slot for two")
	}
}

func TestEverySlotOpen(t *testing.T) {
	r := rig{t, New(Slots, golden)}
	for range Slots {
		r.open(2)
	}
	if _, err := r.Open(2); err == nil {
		t.Fatal("one more than there are slots")
	}
	r.Close(17)
	if s := r.open(2); s != 17 {
		t.Errorf("got slot %d, 17 is the only one", s)
	}
	r.Insert(Slots-1, fork(1, 0, 0, 2))
	r.holds(Slots-1, 1)
}

// More than fits is shared by what each has; who leaves gives its share back.
func TestTooLittleForAll(t *testing.T) {
	r := rig{t, New(1000, golden)}
	a := r.open(900)
	r.Insert(a, fork(1, 0, 0, 2000))
	r.holds(a, 900)
	b := r.open(300)
	r.Insert(b, fork(2, 0, 0, 2000))
	r.holds(a, 750)
	r.holds(b, 250)
	r.Resize(b, 100)
	r.holds(b, 100)
	r.Insert(a, fork(1, 0, 0, 2000))
	r.holds(a, 900)
	r.Close(a)
	r.Resize(b, 5000)
	r.Insert(b, fork(2, 0, 0, 2000))
	r.holds(b, 1000)
}

// A chain that is none of Chain's (another gateway may send anything) harms
// nobody but itself.
func TestForeignChains(t *testing.T) {
	r := rig{t, New(1000, golden)}
	s := r.open(100)
	chain := fork(1, 0, 0, 40)
	r.Insert(s, chain)
	for range 200 {
		for _, odd := range [][]uint64{{0}, {0, 0, 1}, {5, 5, 5}, {5, 6, 5}, chain[20:], {7, chain[10], 8}, {}} {
			r.Undo(r.Insert(s, odd))
			r.Insert(s, odd)
		}
	}
	r.Insert(s, chain)
	r.has(s, chain, 40)
	r.Insert(s, fork(2, 0, 0, 500))
	r.has(s, fork(2, 0, 0, 500), 100)
	r.holds(s, 100)
}

// One slot only ever gets more: whoever looks, however it grows meanwhile, sees
// all that was there. In the others everything happens at once.
func TestReadersWhileAllChanges(t *testing.T) {
	r := rig{t, New(20_000, golden)}
	steady := r.open(10_000)
	slots := []Slot{steady, r.open(100), r.open(200), r.open(300)}
	kept := fork(1, 0, 0, 60)
	r.Insert(steady, kept)

	var done atomic.Bool
	var readers, writers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			into := make([]int32, len(slots))
			for !done.Load() {
				r.Match(kept, slots, into)
				if into[0] != 60 {
					t.Errorf("%d of 60 blocks", into[0])
					return
				}
				for i, n := range into {
					if n < 0 || int(n) > len(kept) || r.Len(slots[i]) > 10_000 {
						t.Errorf("slot %d has %d blocks of %d, in all %d", slots[i], n, len(kept), r.Len(slots[i]))
						return
					}
				}
			}
		})
	}
	writers.Go(func() {
		for i := range 150 {
			r.Insert(steady, fork(2+i, 0, 0, 60))
		}
	})
	for w := range 3 {
		writers.Go(func() {
			for i := range 600 {
				s := slots[1+(i+w)%3]
				added := r.Insert(s, kept[:(i*7+w)%61])
				r.Insert(s, fork(1, 30, i%5, 80))
				r.Undo(added)
				switch i % 40 {
				case 10:
					r.Trim(s, i%30)
				case 20:
					r.Clear(s)
				case 25:
					r.Resize(s, i)
				}
			}
		})
	}
	writers.Go(func() {
		for range 300 {
			s, err := r.Open(64)
			if err != nil {
				t.Error(err)
				return
			}
			r.Insert(s, kept)
			r.Close(s)
		}
	})
	writers.Wait()
	done.Store(true)
	readers.Wait()
}

// A coarse block takes the room of its text, is evicted as a whole, and what is
// left out of a chain that is too long is whole blocks.
func TestCoarseBlocksTakeTheirRoom(t *testing.T) {
	x := New(1000, 1)
	s, err := x.Open(fineBlocks + 10*coarse + 1)
	if err != nil {
		t.Fatal(err)
	}
	chain := Chain(nil, 1, prompt(1, (fineBlocks+20*coarse)*BlockBytes), 1000)
	depth := []int32{0}
	has := func(chain []uint64, blocks, length int) {
		t.Helper()
		if x.Match(chain, []Slot{s}, depth); int(depth[0]) != blocks || x.Len(s) != length {
			t.Errorf("%d blocks in %d of room, want %d in %d", depth[0], x.Len(s), blocks, length)
		}
	}
	a := x.Insert(s, chain)
	has(chain, fineBlocks+10, fineBlocks+10*coarse)
	other := Chain(nil, 2, prompt(2, 6*BlockBytes), 6)
	x.Insert(s, other) // one is free, five more come from two coarse ones
	has(chain, fineBlocks+8, fineBlocks+8*coarse+6)
	x.Undo(a)
	has(chain, 0, 6)
	has(other, 6, 6)
}
