package prefix

// Added is what an Insert added: nothing if it is the zero value.
type Added struct {
	last   uint64 // the last block; 0: none
	insert uint32
	slot   Slot
}

// Undo takes back what an Insert added, because the request failed before the
// engine had worked on it. Blocks that another Insert has used since stay, and
// so do those it evicted stay evicted.
func (x *Index) Undo(a Added) {
	if a.last == 0 {
		return
	}
	c := &x.caches[a.slot]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count.Load() > 0 {
		c.undo(a)
	}
}

// undo drops what is left of an insert's blocks: neighbours in the order of use,
// the end of the chain being the oldest. If that was evicted, the rest is the
// oldest of all.
func (c *cache) undo(a Added) {
	n := c.oldest()
	t := c.seen.Load()
	if at := t.find(a.last); at != none && c.nodes[t.nodes[at]].born == a.insert {
		n = t.nodes[at]
	}
	for n != 0 && c.nodes[n].born == a.insert {
		newer := c.nodes[n].newer
		c.drop(n)
		n = newer
	}
}

// Drop takes away what an instance has of a chain's blocks, of which no other
// chain goes on: it is not worth keeping, or was only a guess.
func (x *Index) Drop(s Slot, chain []uint64) {
	c := &x.caches[s]
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count.Load() == 0 {
		return
	}
	t := c.seen.Load()
	for n := t.depth(chain) - 1; n >= 0; n-- { // the end first: a reader never sees it without its beginning
		if at := t.find(chain[n]); at != none {
			c.drop(t.nodes[at])
		}
	}
}
