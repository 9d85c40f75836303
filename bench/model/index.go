package model

import "math/bits"

// index finds blocks by their content. It is a table by hand, as large as it
// can ever be needed: the runtime's map took half of the time of whole
// simulations. Entries stand where their hash says or right behind (linear
// probing), without gaps, at most half of the places being taken.
type index struct {
	entries []entry
	shift   int
	len     int
}

// entry is a hash and its block; a hash of 0 is no entry.
type entry struct {
	hash  Hash
	block int32
}

func newIndex(most int) index {
	size := bits.Len(uint(2 * most))
	return index{entries: make([]entry, 1<<size), shift: 64 - size}
}

// home is where an entry stands if nobody is in its way.
func (x *index) home(h Hash) int { return int(uint64(h) * 0x9e3779b97f4a7c15 >> x.shift) }

func (x *index) after(i int) int { return (i + 1) & (len(x.entries) - 1) }

// find returns the block of this content, or none.
func (x *index) find(h Hash) int32 {
	for i := x.home(h); ; i = x.after(i) {
		switch e := &x.entries[i]; e.hash {
		case 0:
			return none
		case h:
			return e.block
		}
	}
}

// add notes a block's content. It reports false, and does nothing, if there is
// a block of that content.
func (x *index) add(h Hash, block int32) bool {
	i := x.home(h)
	for ; x.entries[i].hash != 0; i = x.after(i) {
		if x.entries[i].hash == h {
			return false
		}
	}
	x.entries[i] = entry{h, block}
	x.len++
	return true
}

// remove forgets a content that is there, and moves up who stood behind it.
func (x *index) remove(h Hash) {
	gap := x.home(h)
	for x.entries[gap].hash != h {
		gap = x.after(gap)
	}
	mask := len(x.entries) - 1
	for i := x.after(gap); x.entries[i].hash != 0; i = x.after(i) {
		// Who is at home after the gap stays.
		if home := x.home(x.entries[i].hash); (i-home)&mask >= (i-gap)&mask {
			x.entries[gap] = x.entries[i]
			gap = i
		}
	}
	x.entries[gap] = entry{}
	x.len--
}
