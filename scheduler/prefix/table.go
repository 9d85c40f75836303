package prefix

import (
	"math/bits"
	"sync/atomic"
)

// reach is how many places a block may have, its home among them. In a table
// half full nobody needs nearly so many; it bounds the work if a secret got out
// and texts were chosen for where their blocks are at home.
const reach = 128

// none is the place of no block.
const none = -1

// table is a set of blocks, read while it is written. A block stands at its
// home or the next free place behind (linear probing), without gaps, at most
// half of the places being taken. A reader who comes while blocks are moved
// up may miss one, and finds it the next time.
type table struct {
	secret uint64 // odd
	homes  uint64
	hashes []atomic.Uint64 // 0: nobody
	nodes  []uint32        // of each block, for the one who writes
}

func newTable(blocks int, secret uint64) *table {
	homes := 2 * blocks
	return &table{
		secret: secret | 1,
		homes:  uint64(homes),
		hashes: make([]atomic.Uint64, homes+reach), // so that nobody wraps around
		nodes:  make([]uint32, homes+reach),
	}
}

// home is where a block stands if nobody is in its way. Clients can choose
// their hashes, but not where they are at home (multiply-shift hashing).
func (t *table) home(h uint64) int {
	home, _ := bits.Mul64(h*t.secret, t.homes)
	return int(home)
}

// find returns the place of a block, or none.
func (t *table) find(h uint64) int {
	home := t.home(h)
	near := t.hashes[home : home+reach]
	for i := range near {
		switch near[i].Load() {
		case 0:
			return none
		case h:
			return home + i
		}
	}
	return none
}

// depth is how many leading blocks of the chain are there: all before one that
// is there are there too. Of no table it is 0.
func (t *table) depth(chain []uint64) int {
	if t == nil {
		return 0
	}
	// Most have nothing of a prompt, or all of it.
	last := len(chain) - 1
	if last < 0 || t.find(chain[0]) == none {
		return 0
	}
	if t.find(chain[last]) != none {
		return last + 1
	}
	low, high := 1, last
	for low < high {
		if mid := int(uint(low+high) / 2); t.find(chain[mid]) != none {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// add gives a block a place. None: it is there already, or too many stand where
// it is at home, or it is no block.
func (t *table) add(h uint64, node uint32) int {
	home := t.home(h)
	for i := home; i < home+reach; i++ {
		switch t.hashes[i].Load() {
		case h:
			return none
		case 0:
			t.nodes[i] = node
			t.hashes[i].Store(h)
			return i
		}
	}
	return none
}

// remove takes the block at a place away and moves up who stood behind it for
// want of that place, telling their nodes.
func (t *table) remove(gap int, nodes []node) {
	// Nobody farther than reach is at home at the gap or before it.
	for i := gap + 1; i < min(gap+reach, len(t.hashes)); i++ {
		h := t.hashes[i].Load()
		if h == 0 {
			break
		}
		if t.home(h) > gap {
			continue
		}
		// Twice for a moment, rather than nowhere.
		t.nodes[gap] = t.nodes[i]
		nodes[t.nodes[gap]].at = uint32(gap)
		t.hashes[gap].Store(h)
		gap = i
	}
	t.hashes[gap].Store(0)
}
