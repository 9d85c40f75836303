package model

import "slices"

// queue is a double-ended queue of sequences in a ring of memory.
type queue struct {
	ring []*Sequence // its length is a power of two, or 0
	head int
	len  int
}

// at returns the i-th from the front.
func (q *queue) at(i int) *Sequence { return q.ring[(q.head+i)&(len(q.ring)-1)] }

func (q *queue) pushBack(s *Sequence) {
	q.grow()
	q.ring[(q.head+q.len)&(len(q.ring)-1)] = s
	q.len++
}

func (q *queue) pushFront(s *Sequence) {
	q.grow()
	q.head = (q.head - 1) & (len(q.ring) - 1)
	q.ring[q.head] = s
	q.len++
}

func (q *queue) popFront() *Sequence {
	s := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.len--
	return s
}

// remove takes s out, and says where it was.
func (q *queue) remove(s *Sequence) int {
	q.straighten()
	i := slices.Index(q.ring[:q.len], s)
	copy(q.ring[i:], q.ring[i+1:q.len])
	q.len--
	q.ring[q.len] = nil
	return i
}

// straighten brings the front to the ring's beginning.
func (q *queue) straighten() {
	if q.head > 0 {
		slices.Reverse(q.ring[:q.head])
		slices.Reverse(q.ring[q.head:])
		slices.Reverse(q.ring)
		q.head = 0
	}
}

func (q *queue) grow() {
	if q.len == len(q.ring) {
		q.straighten()
		q.ring = append(q.ring, make([]*Sequence, max(16, len(q.ring)))...)
	}
}
