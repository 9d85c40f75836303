package dataplane

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Buffers come in powers of two, so that a body of any length finds one that
// is at most half empty.
const (
	minBuffer  = 4 << 10 // a head, an event
	maxPooled  = 8 << 20 // larger ones are left to the collector
	relayLarge = 64 << 10
)

var bufferPools [24]sync.Pool // index: log2 of the size

// buffer is pooled memory. The owner gives it back exactly once.
type buffer struct{ b []byte }

// getBuffer returns a buffer whose b has length and capacity of at least n.
func getBuffer(n int) *buffer {
	if n < minBuffer {
		n = minBuffer
	}
	class := bits.Len(uint(n - 1))
	if 1<<class > maxPooled {
		return &buffer{make([]byte, n)}
	}
	if v := bufferPools[class].Get(); v != nil {
		return v.(*buffer)
	}
	return &buffer{make([]byte, 1<<class)}
}

// putBuffer takes b back; nil is fine.
func putBuffer(b *buffer) {
	if b == nil {
		return
	}
	b.b = b.b[:cap(b.b)]
	class := bits.Len(uint(len(b.b) - 1))
	if len(b.b) == 1<<class && len(b.b) <= maxPooled {
		bufferPools[class].Put(b)
	}
}

// budget bounds the sum of what all requests hold at once.
type budget struct {
	used  atomic.Int64
	limit int64
}

// take reserves n bytes, or nothing.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) give(n int64) { b.used.Add(-n) }
