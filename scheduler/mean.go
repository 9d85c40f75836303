package scheduler

import "sync/atomic"

// mean is a forgetting average of a count. Any goroutine may add; two at once
// may lose one, which an average can bear.
type mean struct{ scaled atomic.Int64 }

const (
	meanScale  = 1 << 10
	meanWeight = 64 // each new value counts for 1/64
)

func newMean(start int64) *mean {
	m := &mean{}
	m.scaled.Store(start * meanScale)
	return m
}

func (m *mean) add(v int64) {
	old := m.scaled.Load()
	m.scaled.Store(old + (v*meanScale-old)/meanWeight)
}

func (m *mean) value() int64 { return m.scaled.Load() / meanScale }
