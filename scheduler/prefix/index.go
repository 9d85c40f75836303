package prefix

import (
	"fmt"
	"sync"
)

// Slots is how many instances may be open at a time.
const Slots = 4096

// Slot is an instance's place in the index, its own until it is closed.
type Slot uint16

// Index knows which blocks each of many instances has.
type Index struct {
	caches [Slots]cache

	mu     sync.Mutex // before that of a cache; for all below
	most   int        // blocks, of all caches
	asked  int        // the capacities of all that are open
	opened Slot       // slots below were open before
	closed []Slot     // of those, the ones that are not open now
}

// New returns an index of at most maxBlocks blocks. They take memory as they
// come. The secret changes nothing but where they lie in memory: it should be
// random where clients are not to be trusted, lest they choose texts whose
// blocks are in each other's way.
func New(maxBlocks int, secret uint64) *Index {
	x := &Index{most: clamp(maxBlocks)}
	for i := range x.caches {
		x.caches[i].secret = secret
	}
	return x
}

// Open gives an instance a place, empty, for so many blocks of BlockBytes of text. If all
// together want more than the index may hold, each gets its share of that. It
// fails only if too many are open.
func (x *Index) Open(capacity int) (Slot, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var s Slot
	switch last := len(x.closed) - 1; {
	case last >= 0:
		s, x.closed = x.closed[last], x.closed[:last]
	case x.opened < Slots:
		s = x.opened
		x.opened++
	default:
		return 0, fmt.Errorf("prefix index: %d instances are open, and no more can be", Slots)
	}
	x.change(s, true, capacity)
	return s, nil
}

// Resize says that an instance has room for so many blocks of text.
func (x *Index) Resize(s Slot, capacity int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := &x.caches[s]; c.open {
		x.change(s, true, capacity)
	}
}

// Close forgets an instance. The slot is the next that Open gives away.
func (x *Index) Close(s Slot) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := &x.caches[s]; c.open {
		x.change(s, false, 0)
		x.closed = append(x.closed, s)
	}
}

// change takes in what an instance asks for, and divides anew where there is
// not enough for all, or was not.
func (x *Index) change(s Slot, open bool, capacity int) {
	c := &x.caches[s]
	capacity = clamp(capacity)
	short := x.asked > x.most
	x.asked += capacity - c.capacity
	c.open, c.capacity = open, capacity
	if !short && x.asked <= x.most {
		x.settle(c)
		return
	}
	for i := range x.caches[:x.opened] {
		x.settle(&x.caches[i])
	}
}

// clamp keeps a number of blocks to what has sums and products in an int64, and
// places of a table in a uint32.
func clamp(blocks int) int { return min(max(blocks, 0), 1<<30) }

// settle gives an instance its share.
func (x *Index) settle(c *cache) {
	limit := c.capacity
	if x.asked > x.most {
		limit = limit * x.most / x.asked
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit != c.limit {
		c.settle(limit)
	}
}

// Clear forgets an instance's blocks: the engine was started anew.
func (x *Index) Clear(s Slot) {
	c := &x.caches[s]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}

// Trim evicts from an instance until it has no more than keep blocks, where the
// engine is known to have no more.
func (x *Index) Trim(s Slot, keep int) {
	c := &x.caches[s]
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trim(keep)
}

// Len is how many blocks of BlockBytes an instance has.
func (x *Index) Len(s Slot) int { return int(x.caches[s].count.Load()) }

// Insert says that an instance was given the prompt with this chain: the blocks
// that it has of it are now those used last, the others are added. What is
// beyond its capacity is evicted, least recently used first, the end of a chain
// before its beginning; of a chain longer than its capacity, the end is left
// out. The result is for Undo.
func (x *Index) Insert(s Slot, chain []uint64) Added {
	c := &x.caches[s]
	c.mu.Lock()
	defer c.mu.Unlock()
	return Added{slot: s, last: c.insert(chain), insert: c.inserts}
}
