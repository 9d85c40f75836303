package prefix

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// The blocks of this test are at home in few places, so that they stand in each
// other's way all the time.
func TestTableOfNeighbours(t *testing.T) {
	const blocks = 100
	x, nodes := newTable(blocks, 1), make([]node, blocks+1)
	dice := rand.New(rand.NewPCG(1, 0))
	there := map[uint64]uint32{}
	var free []uint32
	for n := uint32(blocks); n > 0; n-- {
		free = append(free, n)
	}
	for range 50_000 {
		h := uint64(1)<<63 + dice.Uint64N(8)<<58 + dice.Uint64N(30)
		n, is := there[h]
		switch at := x.find(h); {
		case is != (at != none):
			t.Fatalf("block %x: at %d, want there: %v", h, at, is)
		case is && (x.nodes[at] != n || nodes[n].at != uint32(at)):
			t.Fatalf("block %x: at %d with node %d, which is at %d; want node %d", h, at, x.nodes[at], nodes[n].at, n)
		case is && x.add(h, n) != none:
			t.Fatalf("block %x is there twice", h)
		case is:
			x.remove(at, nodes)
			delete(there, h)
			free = append(free, n)
		case len(free) > 0:
			n, free = free[len(free)-1], free[:len(free)-1]
			if at = x.add(h, n); at == none {
				t.Fatalf("block %x has no place", h)
			}
			nodes[n].at, there[h] = uint32(at), n
		}
	}
}

// Hashes chosen to be at home in one place do no harm, and bounded harm to who
// gave the secret away.
func TestChosenHashes(t *testing.T) {
	f := func(secret uint64, want int) {
		t.Helper()
		x := New(10_000, secret)
		s, err := x.Open(10_000)
		if err != nil {
			t.Fatal(err)
		}
		for h := range uint64(1000) {
			x.Insert(s, []uint64{1<<62 + h, 1<<62 + h + 5000})
		}
		if got := x.Len(s); got != want {
			t.Errorf("secret %x: %d blocks, want %d", secret, got, want)
		}
	}
	f(golden, 2000)
	f(circle, 2000)
	f(1, reach)
}

// What is written for one instance is in no cache line that is read for another.
func TestCachesShareNoLine(t *testing.T) {
	if size := unsafe.Sizeof(cache{}); size%64 != 0 || unsafe.Offsetof(cache{}.count) != 64 {
		t.Errorf("a cache has %d bytes, of which readers' %d", size, unsafe.Offsetof(cache{}.count))
	}
}
