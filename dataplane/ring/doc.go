// Package ring is a bounded lock-free queue from many goroutines to one, and
// the bell that wakes the one.
//
// Any goroutine may call TryPush, Len and Bell.Ring. TryPop and the rest of
// Bell belong to one consumer, the same for the ring's whole life. Nothing
// blocks, spins or allocates: a full ring says so, and so does an empty one; to
// wait is the caller's business. Everything is published by sync/atomic alone,
// which is all that the race detector and Go's memory model know of.
//
// Values come out in the order in which producers reserved their slots: one
// producer's in the order it pushed them, those of several in no order that
// could be told from outside. There is no closing and no growing.
package ring
