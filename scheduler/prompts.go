package scheduler

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// firstSpeed is what any engine is believed to prefill before it was seen to,
// in tokens a second: INTERFACE.md, "Hung".
const firstSpeed = 500

// prompts is our account of the requests that an instance has not answered a
// byte of: how long that may take, and how fast it gets through their prompts.
// All of it is added up by the requests, and read by the keeper.
type prompts struct {
	// What the speed is learned from: streams, whose first byte tells when the
	// prompt was done. A whole answer's time is not its prompt's.
	since atomic.Int64 // when the first of them that is under way came, ns
	last  atomic.Int64 // when one was done, ns
	timed atomic.Int64 // under way
	busy  atomic.Int64 // ns spent so far with any under way, up to last
	done  atomic.Int64 // tokens of those done

	underWay atomic.Int64
	opaque   atomic.Int64 // of them, those whose work their text does not tell
	lengths  sizes        // tokens of the prompts
	answers  sizes        // tokens at most of those answers that come in one piece
}

// wait is what one request adds to prompts, from its beginning to its first
// byte.
type wait struct {
	tokens int64 // of its prompt
	answer int64 // tokens of an answer in one piece, at most; 0: it comes in pieces
	opaque bool
}

// timed says whether its first byte tells when its prompt was done.
func (w wait) timed() bool { return w.answer == 0 && !w.opaque }

func (p *prompts) begin(w wait, now int64) {
	p.add(w, 1)
	if w.timed() && p.timed.Add(1) == 1 {
		p.since.Store(now)
	}
}

// end notes that a prompt was done, or given up.
func (p *prompts) end(w wait, now int64, done bool) {
	p.add(w, -1)
	if !w.timed() {
		return
	}
	p.timed.Add(-1)
	if !done {
		return
	}
	if from := max(p.last.Swap(now), p.since.Load()); now > from {
		p.busy.Add(now - from)
	}
	p.done.Add(w.tokens)
}

func (p *prompts) add(w wait, n int32) {
	p.underWay.Add(int64(n))
	p.lengths.add(w.tokens, n)
	if w.answer > 0 {
		p.answers.add(w.answer, n)
	}
	if w.opaque {
		p.opaque.Add(int64(n))
	}
}

// sizes counts things by how large they are, to a power of two.
type sizes [24]atomic.Int32

func (s *sizes) add(size int64, n int32) {
	s[min(bits.Len64(uint64(size)), len(s)-1)].Add(n)
}

// longest bounds the largest: the next power of two.
func (s *sizes) longest() int64 {
	for size := len(s) - 1; size > 0; size-- {
		if s[size].Load() > 0 {
			return 1 << size
		}
	}
	return 0
}

// speed is how fast an instance prefills what it has not in its cache, learned
// from its prompts as they are done and forgetting. The zero value knows nothing
// yet. It belongs to the keeper.
type speed struct {
	busySeen, doneSeen int64
	hitsSeen           uint64
	busy, done         float64
}

// learnFrom is how many prompt tokens make a measurement: with fewer, what a
// request costs beside its prompt is all that is seen.
const learnFrom = 1000

// What was found in the engine's cache took no time. An engine that does not
// tell how much that was is believed to have found most of it, and no engine to
// have found all.
const (
	freshUntold = 0.25
	freshLeast  = 0.05
)

// learn takes in what was done since. hits are the prompt tokens that the engine
// has found in its cache so far, if it tells.
func (s *speed) learn(p *prompts, hits uint64, told bool) {
	busy, done := p.busy.Load(), p.done.Load()
	tokens := float64(done - s.doneSeen)
	if tokens < learnFrom || busy <= s.busySeen {
		return
	}
	fresh := tokens * freshUntold
	if told {
		fresh = max(tokens-float64(hits-min(hits, s.hitsSeen)), tokens*freshLeast)
	}
	s.busy = s.busy*0.8 + float64(busy-s.busySeen)
	s.done = s.done*0.8 + fresh
	s.busySeen, s.doneSeen, s.hitsSeen = busy, done, hits
}

// of is how long the prefill of so many tokens takes.
func (s *speed) of(tokens int64) time.Duration {
	perSecond := float64(firstSpeed)
	if s.busy > 0 {
		perSecond = s.done / s.busy * float64(time.Second)
	}
	return time.Duration(float64(tokens) / perSecond * float64(time.Second))
}
