package model

import (
	"fmt"
	"slices"
	"time"
)

// Engine is one simulated engine.
type Engine struct {
	profile Profile
	blocks  *blocks
	queue   queue       // first come, first served; preempted ones go first
	running []*Sequence // the batch, in the order of admission
	tokens  []*Sequence // what End returns
	spare   [][]int32   // chains of sequences that are over, for new ones
	inStep  bool
	intake  time.Duration // when what came so far is taken in
	waiting int           // of the queue, those that the last Begin could have taken
	totals  Totals
}

// Totals only grow.
type Totals struct {
	PromptTokens    int64 // of prompts computed or found, counted at their end
	GeneratedTokens int64
	PrefixQueries   int64 // tokens looked up in the prefix cache
	PrefixHits      int64 // of them found
	Preemptions     int64
	Finished        int64
	Aborted         int64
	Steps           int64
}

// Stats is the engine's state.
type Stats struct {
	Running int
	// Waiting is how many sequences the last step had no place for. Those that
	// came later, or are still in their overhead, do not wait: vLLM counts alike.
	Waiting    int
	UsedBlocks int // referred to by the batch
	KVBlocks   int
	Totals
}

// KVUsage is the share of blocks in use, 0..1.
func (s *Stats) KVUsage() float64 { return float64(s.UsedBlocks) / float64(s.KVBlocks) }

// New makes an idle engine with an empty cache.
func New(p Profile) (*Engine, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("profile %q: %w", p.Name, err)
	}
	return &Engine{profile: p, blocks: newBlocks(p.KVBlocks)}, nil
}

// Profile is what the engine was made from.
func (e *Engine) Profile() Profile { return e.profile }

// Submit puts a request into the queue.
func (e *Engine) Submit(now time.Duration, r Request) (*Sequence, error) {
	if err := e.profile.check(&r); err != nil {
		return nil, err
	}
	e.intake = max(e.intake, now) + e.profile.Intake + time.Duration(r.PromptTokens)*e.profile.IntakeToken
	s := &Sequence{request: r, length: r.PromptTokens, ready: e.intake + e.profile.Overhead, times: Times{Arrived: now}}
	e.queue.pushBack(s)
	return s, nil
}

// Abort ends a sequence that is not over; its blocks are free at once. It
// reports whether there was something to end.
func (e *Engine) Abort(now time.Duration, s *Sequence) bool {
	switch s.state {
	case Waiting:
		if e.queue.remove(s) < e.waiting {
			e.waiting--
		}
	case Running:
		i := slices.Index(e.running, s)
		e.running = slices.Delete(e.running, i, i+1)
	default:
		return false
	}
	e.end(now, s, Aborted)
	e.totals.Aborted++
	return true
}

// Next says from when on Begin has something to do; false if the engine is idle
// and nothing is on its way.
func (e *Engine) Next() (time.Duration, bool) {
	switch {
	case len(e.running) > 0:
		return 0, true
	case e.queue.len > 0:
		return e.queue.at(0).ready, true
	}
	return 0, false
}

// Stats is the engine's state now; within a step, as the step began.
func (e *Engine) Stats() Stats {
	return Stats{
		Running: len(e.running), Waiting: e.waiting,
		UsedBlocks: e.profile.KVBlocks - e.blocks.free, KVBlocks: e.profile.KVBlocks,
		Totals: e.totals,
	}
}

// Has says whether a block of this content is in the cache.
func (e *Engine) Has(h Hash) bool { return e.blocks.find(h) != none }

// end takes everything from a sequence that is in no list any more.
func (e *Engine) end(now time.Duration, s *Sequence, state State) {
	e.release(s)
	s.state = state
	s.times.Finished = now
	s.request.Blocks, s.request.Output, s.output = nil, nil, nil
	if s.chain != nil {
		e.spare = append(e.spare, s.chain)
		s.chain = nil
	}
}

// release gives the blocks of s back.
func (e *Engine) release(s *Sequence) {
	e.blocks.release(s.chain)
	s.chain = s.chain[:0]
	s.computed, s.scheduled, s.room, s.full = 0, 0, 0, 0
}

// chainFor returns memory for a sequence's blocks.
func (e *Engine) chainFor() []int32 {
	if n := len(e.spare) - 1; n >= 0 {
		chain := e.spare[n]
		e.spare = e.spare[:n]
		return chain
	}
	return make([]int32, 0, 32)
}
