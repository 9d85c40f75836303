package model

// none is the index of no block.
const none = -1

// block is one KV block. It is free while nobody refers to it; a free block
// with a hash still has its content, and may be found again until it is taken
// for something else.
type block struct {
	hash       Hash
	refs       int32
	prev, next int32 // in the free list
}

// blocks is the KV cache: a fixed number of blocks, an index of those whose
// content is known, and the list of free ones, least recently used first.
type blocks struct {
	all    []block // and one more: the free list's anchor
	known  index
	free   int
	anchor int32
}

func newBlocks(count int) *blocks {
	b := &blocks{all: make([]block, count+1), known: newIndex(count), free: count, anchor: int32(count)}
	for i := range b.all {
		b.all[i].prev = int32((i + count) % (count + 1))
		b.all[i].next = int32((i + 1) % (count + 1))
	}
	return b
}

// find returns the block with this content, free or not, or none.
func (b *blocks) find(h Hash) int32 { return b.known.find(h) }

// isFree reports whether nobody refers to block i.
func (b *blocks) isFree(i int32) bool { return b.all[i].refs == 0 }

// hold adds a reference to block i.
func (b *blocks) hold(i int32) {
	if x := &b.all[i]; x.refs == 0 {
		b.all[x.prev].next, b.all[x.next].prev = x.next, x.prev
		b.free--
	}
	b.all[i].refs++
}

// take returns the block that was free for longest, its content forgotten, with
// one reference. There must be a free one.
func (b *blocks) take() int32 {
	i := b.all[b.anchor].next
	if x := &b.all[i]; x.hash != 0 {
		b.known.remove(x.hash)
		x.hash = 0
	}
	b.hold(i)
	return i
}

// name says what content block i has. A second block with the same content
// stays nameless, and is gone when it is dropped.
func (b *blocks) name(i int32, h Hash) {
	if h != 0 && b.known.add(h, i) {
		b.all[i].hash = h
	}
}

// drop takes one reference from block i. If it was the last, the block is free:
// the next to be taken if it has no name, else the last.
func (b *blocks) drop(i int32) {
	x := &b.all[i]
	if x.refs--; x.refs > 0 {
		return
	}
	before := b.anchor
	if x.hash != 0 {
		before = b.all[b.anchor].prev
	}
	x.prev, x.next = before, b.all[before].next
	b.all[x.prev].next, b.all[x.next].prev = i, i
	b.free++
}

// release drops the references of a whole sequence, leaf first: of a chain that
// several prefixes share, the branches are evicted before their root.
func (b *blocks) release(chain []int32) {
	for i := len(chain) - 1; i >= 0; i-- {
		b.drop(chain[i])
	}
}
