package scheduler

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// firstSpeed is what any engine is believed to prefill before it was seen to,
// in tokens a second: INTERFACE.md, "Hung".
const firstSpeed = 500

// prompts is our account of the prompts that an instance works on: how long the
// longest may be, and how fast it gets through them. All of it is added up by
// the requests, and read by the keeper.
type prompts struct {
	sizes [24]atomic.Int32 // prompts under way, by the number of bits of their tokens

	underWay atomic.Int64

	// What the speed is learned from: streams, whose first byte tells when the
	// prompt was done. A whole answer's time is not its prompt's.
	timed atomic.Int64 // under way
	since atomic.Int64 // when the first of them came, ns
	last  atomic.Int64 // when one was done, ns
	busy  atomic.Int64 // ns spent so far with any under way, up to last
	done  atomic.Int64 // tokens of those done
}

func sizeOf(tokens int64) int { return min(bits.Len64(uint64(tokens)), len(prompts{}.sizes)-1) }

func (p *prompts) begin(tokens, now int64, stream bool) {
	p.underWay.Add(1)
	p.sizes[sizeOf(tokens)].Add(1)
	if stream && p.timed.Add(1) == 1 {
		p.since.Store(now)
	}
}

// end notes that a prompt was done, or given up.
func (p *prompts) end(tokens, now int64, stream, done bool) {
	p.sizes[sizeOf(tokens)].Add(-1)
	p.underWay.Add(-1)
	if !stream {
		return
	}
	p.timed.Add(-1)
	if !done {
		return
	}
	if from := max(p.last.Swap(now), p.since.Load()); now > from {
		p.busy.Add(now - from)
	}
	p.done.Add(tokens)
}

// longest bounds the tokens of the longest prompt under way: the next power of
// two.
func (p *prompts) longest() int64 {
	for size := len(p.sizes) - 1; size > 0; size-- {
		if p.sizes[size].Load() > 0 {
			return 1 << size
		}
	}
	return 0
}

// speed is how fast an instance prefills, learned from its prompts as they are
// done and forgetting. The zero value knows nothing yet. It belongs to the
// keeper.
type speed struct {
	busySeen, doneSeen int64
	busy, done         float64
}

// learnFrom is how many prompt tokens make a measurement: with fewer, what a
// request costs beside its prompt is all that is seen.
const learnFrom = 1000

func (s *speed) learn(p *prompts) {
	busy, done := p.busy.Load(), p.done.Load()
	if done-s.doneSeen < learnFrom || busy <= s.busySeen {
		return
	}
	s.busy = s.busy*0.8 + float64(busy-s.busySeen)
	s.done = s.done*0.8 + float64(done-s.doneSeen)
	s.busySeen, s.doneSeen = busy, done
}

// of is how long the prefill of so many tokens takes.
func (s *speed) of(tokens int64) time.Duration {
	perSecond := float64(firstSpeed)
	if s.busy > 0 {
		perSecond = s.done / s.busy * float64(time.Second)
	}
	return time.Duration(float64(tokens) / perSecond * float64(time.Second))
}
