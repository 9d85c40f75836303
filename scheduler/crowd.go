package scheduler

import (
	"math"
	"sync/atomic"
)

// crowd remembers what crowding an instance was last found to have: it changes
// with every few hundred tokens, and is asked for by every decision. Any
// goroutine may ask: who comes second writes the same.
type crowd struct{ word atomic.Uint64 } // share, in 1/crowdShares, and answers, crowdBits and answersBits of the upper half; below, a float32

const (
	crowdBits   = 12
	crowdShares = 1 << crowdBits
	answersBits = 32 - crowdBits
)

// of is the crowding of a KV cache that so much of is in use, by so many
// answers.
func (m *crowd) of(share, answers float64) float64 {
	n := uint64(min(max(int64(answers), 1), 1<<answersBits-1))
	key := uint64(int64(atMost(share, 1-leastIdle)*crowdShares))<<answersBits | n
	w := m.word.Load()
	if w>>32 == key {
		return float64(math.Float32frombits(uint32(w)))
	}
	share = (float64(key>>answersBits) + 0.5) / crowdShares
	v := float32(crowding(share, float64(n)/share))
	m.word.Store(key<<32 | uint64(math.Float32bits(v)))
	return float64(v)
}

// crowding is how much longer those to come wait, for each unit that the share
// of the KV cache in use is higher, and each second that a place in it is held:
// the derivative of the wait for one of k places (Sakasegawa 1977).
func crowding(share, k float64) float64 {
	a := math.Sqrt(2*(k+1)) - 1
	idle := 1 / (1 - share)
	return math.Pow(share, a-1) * idle * (a + share*idle) / k
}
