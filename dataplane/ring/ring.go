package ring

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// pad keeps two words on cache lines of their own: two lines of 64 bytes, as
// CPUs prefetch them in pairs.
const pad = 128

// maxSize bounds what New is asked for; memory is taken at once.
const maxSize = 1 << 30

// Ring is a bounded queue of many producers and one consumer, after Vyukov's
// bounded MPMC queue (https://www.1024cores.net/home/lock-free-algorithms/queues/bounded-mpmc-queue).
//
// A slot's sequence says whose turn it is. For position p, which lies in slot
// p & mask:
//
//	p              free: the producer that reserves p may write
//	p + 1          published: the consumer may read
//	p + len(slots) free again, for the next lap
type Ring[T any] struct {
	slots []slot[T] // these two never change
	mask  uint64
	_     [pad - 32]byte
	tail  atomic.Uint64 // the next position to reserve: producers'
	_     [pad - 8]byte
	head  atomic.Uint64 // the next position to pop: the consumer's
	_     [pad - 8]byte
}

type slot[T any] struct {
	sequence atomic.Uint64
	value    T
}

// New makes a ring of at least size slots: the next power of two, at least 2
// (with one slot, "published" and "free for the next lap" would be the same
// sequence). It panics if size is not between 1 and 1<<30.
func New[T any](size int) *Ring[T] {
	if size < 1 || size > maxSize {
		panic(fmt.Sprintf("ring: a size of %d, need 1 to %d", size, maxSize))
	}
	n := max(2, uint64(1)<<bits.Len64(uint64(size)-1))
	r := &Ring[T]{slots: make([]slot[T], n), mask: n - 1}
	for i := range r.slots {
		r.slots[i].sequence.Store(uint64(i))
	}
	return r
}

// TryPush puts v in; false when the ring is full. Any goroutine may call it.
func (r *Ring[T]) TryPush(v T) bool {
	p := r.tail.Load()
	for {
		s := &r.slots[p&r.mask]
		switch turn := int64(s.sequence.Load() - p); {
		case turn < 0: // not popped since the last lap
			return false
		case turn == 0 && r.tail.CompareAndSwap(p, p+1):
			s.value = v
			s.sequence.Store(p + 1)
			return true
		}
		p = r.tail.Load() // another producer has p
	}
}

// TryPop takes the oldest value out; false when there is none. A slot that is
// reserved but not published yet counts as none, with all behind it: its
// producer may have been descheduled, and will ring the bell. Only the consumer
// calls it.
func (r *Ring[T]) TryPop() (v T, ok bool) {
	p := r.head.Load()
	s := &r.slots[p&r.mask]
	if s.sequence.Load() != p+1 {
		return v, false
	}
	var zero T
	v, s.value = s.value, zero // or the ring would keep alive what v points to
	s.sequence.Store(p + uint64(len(r.slots)))
	r.head.Store(p + 1)
	return v, true
}

// Len is how many values are in the ring, pushes that are under way included,
// and 0 exactly when TryPop would find none. Any goroutine may call it; to all
// but the consumer it is history when it comes.
func (r *Ring[T]) Len() int {
	p := r.head.Load()
	if r.slots[p&r.mask].sequence.Load() != p+1 {
		return 0
	}
	return int(min(r.tail.Load()-p, uint64(len(r.slots))))
}
