package prefix

import (
	"sync"
	"sync/atomic"
)

// firstNodes is what a cache begins with; it doubles from there.
const firstNodes = 64

// node is a block in the order of use. Who uses a block uses all before it in
// its chain, and they are noted as used after it: so the oldest of all is always
// a leaf, and to evict leaf first is to take the oldest.
type node struct {
	older, newer uint32
	born         uint32 // by which insert, while no other has used it
	at           uint32 // its place in the table
}

// cache is what one instance has.
type cache struct {
	seen atomic.Pointer[table] // nil: nothing
	_    [56]byte              // what is below is written by every insert

	count atomic.Int32 // BlockBytes of its blocks

	mu      sync.Mutex // for what changes all above and below, up to free
	limit   int        // of count
	secret  uint64     // of its tables
	inserts uint32     // so far; never set back, so that what an old token names is gone
	nodes   []node     // nodes[0] is the list's anchor, between newest and oldest
	free    uint32     // list of unused nodes, by older; 0: none

	// Under the index's mutex.
	open     bool
	capacity int // what the instance has, of which the bound over all leaves limit
	_        [48]byte
}

// insert uses what is there of the chain and adds the rest. It returns the last
// block that it added; 0: none.
func (c *cache) insert(chain []uint64) (added uint64) {
	chain = head(chain, c.limit)
	if c.inserts++; c.inserts == 0 {
		c.inserts = 1 // 0 is of no insert
	}
	have := c.seen.Load().depth(chain)
	c.reserve(sum(chain[have:]))
	last, t := c.touch(chain[:have]), c.seen.Load()
	for _, h := range chain[have:] {
		for int(c.count.Load())+size(h) > c.limit {
			c.drop(c.oldest()) // none of this chain: those are newer, and have no more than the limit
		}
		if last = c.add(t, h, last, c.inserts); last == 0 {
			break
		}
		c.count.Add(int32(size(h)))
		added = h
	}
	return added
}

// touch notes that blocks are used, and returns the last one's node; 0: none.
func (c *cache) touch(chain []uint64) (last uint32) {
	t := c.seen.Load()
	for i := len(chain) - 1; i >= 0; i-- {
		at := t.find(chain[i])
		if at == none { // no chain of Chain's: a block without those before it
			continue
		}
		n := t.nodes[at]
		c.unlink(n)
		c.link(n, 0)
		c.nodes[n].born = 0
		if last == 0 {
			last = n
		}
	}
	return last
}

// add adds a block to t, right older than the one before it in its chain (0: as the
// newest), and returns its node, or 0 if it has no place.
func (c *cache) add(t *table, h uint64, before, born uint32) uint32 {
	n := c.free
	at := t.add(h, n)
	if at == none {
		return 0
	}
	c.free = c.nodes[n].older
	c.nodes[n].born, c.nodes[n].at = born, uint32(at)
	c.link(n, before)
	return n
}

// drop takes a block away: the oldest, or the last of a chain.
func (c *cache) drop(n uint32) {
	t, at := c.seen.Load(), int(c.nodes[n].at)
	less := size(t.hashes[at].Load())
	t.remove(at, c.nodes)
	c.unlink(n)
	c.nodes[n].older, c.free = c.free, n
	c.count.Add(-int32(less))
}

// trim evicts until no more than keep are left.
func (c *cache) trim(keep int) {
	for int(c.count.Load()) > max(keep, 0) {
		c.drop(c.oldest())
	}
}

// clear forgets everything.
func (c *cache) clear() {
	c.seen.Store(nil)
	c.count.Store(0)
	c.nodes, c.free = nil, 0
}

// settle keeps to a new limit, and gives memory back if less than half is needed.
func (c *cache) settle(limit int) {
	c.limit = limit
	c.trim(limit)
	switch {
	case limit == 0:
		c.clear()
	case c.room() > 2*limit:
		c.fit(limit)
	}
}

// room is how many blocks there are nodes for.
func (c *cache) room() int { return max(len(c.nodes), 1) - 1 }

// reserve makes room for so many more blocks, up to the limit.
func (c *cache) reserve(more int) {
	if need := min(int(c.count.Load())+more, c.limit); need > c.room() {
		c.fit(min(max(need, 2*c.room(), firstNodes), c.limit))
	}
}

// fit moves everything to memory for so many blocks. Readers see the old table
// as it was, until the new one is complete.
func (c *cache) fit(blocks int) {
	from, nodes := c.seen.Load(), c.nodes
	into := newTable(blocks, c.secret)
	c.nodes, c.free = make([]node, blocks+1), 0
	for n := blocks; n > 0; n-- {
		c.nodes[n].older, c.free = c.free, uint32(n)
	}
	if from != nil {
		for n := nodes[0].newer; n != 0; n = nodes[n].newer {
			if h := from.hashes[nodes[n].at].Load(); c.add(into, h, 0, nodes[n].born) == 0 {
				c.count.Add(-int32(size(h)))
			}
		}
	}
	c.seen.Store(into)
}

// oldest is the block to be evicted next, or 0.
func (c *cache) oldest() uint32 { return c.nodes[0].newer }

// link puts a block into the order of use, right older than another, or (0) as
// the newest.
func (c *cache) link(n, newer uint32) {
	older := c.nodes[newer].older
	c.nodes[n].older, c.nodes[n].newer = older, newer
	c.nodes[older].newer, c.nodes[newer].older = n, n
}

func (c *cache) unlink(n uint32) {
	x := &c.nodes[n]
	c.nodes[x.older].newer, c.nodes[x.newer].older = x.newer, x.older
}
