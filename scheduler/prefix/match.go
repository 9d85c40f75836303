package prefix

// Match says for each of the slots how many leading blocks of the chain it has:
// into[i] is that of slots[i], and into is at least as long as slots. A block
// that is evicted or moved meanwhile may hide some, or all, of what is there.
func (x *Index) Match(chain []uint64, slots []Slot, into []int32) {
	for i, s := range slots {
		into[i] = int32(x.caches[s].seen.Load().depth(chain))
	}
}
