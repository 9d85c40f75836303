package model

import (
	"errors"
	"fmt"
	"time"
)

// ErrTooLong is a prompt and output of more tokens than the model takes.
var ErrTooLong = errors.New("longer than the model's context")

// Request is what is asked of the engine.
type Request struct {
	PromptTokens int
	// MaxTokens is how many tokens are generated: the engine never stops before.
	// 0 computes the prompt only, as embeddings need it.
	MaxTokens int
	// Blocks are the hashes of the prompt's full blocks, in order; nil leaves the
	// sequence out of the prefix cache. The engine reads them until the sequence
	// is finished.
	Blocks []Hash
	// Output returns the hash of the sequence's next full block after those of
	// Blocks: the end of the prompt, if it does not fill its last block, and
	// generated tokens. It is called once for each, in order; nil keeps what is
	// generated out of the prefix cache.
	Output func() Hash
	// Owner is the caller's own, see Sequence.Owner.
	Owner any
}

// State is where a sequence is.
type State uint8

const (
	Waiting State = iota // in the queue, for the first time or after a preemption
	Running              // in the batch
	Finished
	Aborted
)

// Sequence is one request in the engine. Its methods may be called by the
// engine's goroutine, and by any other once it is finished.
type Sequence struct {
	// Every step looks at these.
	length    int // tokens known: the prompt and what was generated
	computed  int // of them in the KV cache
	scheduled int // being computed by the step under way
	generated int
	room      int // tokens that fit into its blocks
	full      int // where the next block without a name is full

	request   Request
	state     State
	cached    int // prompt tokens found in the prefix cache at first
	preempted int // how often
	chain     []int32
	output    []Hash        // of the blocks after request.Blocks
	ready     time.Duration // when it may be scheduled
	times     Times
}

// Times are a sequence's moments, on the clock that is passed to the engine.
// What has not happened yet is zero.
type Times struct {
	Arrived    time.Duration // Submit
	Scheduled  time.Duration // into the batch, for the first time
	FirstToken time.Duration
	Finished   time.Duration // or aborted
}

// Owner is what the request named as such.
func (s *Sequence) Owner() any { return s.request.Owner }

// State is where the sequence is.
func (s *Sequence) State() State { return s.state }

// Finished reports whether it has all its tokens.
func (s *Sequence) Finished() bool { return s.state == Finished }

// PromptTokens is the length of its prompt.
func (s *Sequence) PromptTokens() int { return s.request.PromptTokens }

// Generated is how many tokens it has got.
func (s *Sequence) Generated() int { return s.generated }

// Cached is how many tokens of its prompt came from the prefix cache.
func (s *Sequence) Cached() int { return s.cached }

// Preempted is how often it has lost its blocks to others.
func (s *Sequence) Preempted() int { return s.preempted }

// Times are its moments so far.
func (s *Sequence) Times() Times { return s.times }

// known is how many of its blocks have a hash that can be looked up.
func (s *Sequence) known() int { return len(s.request.Blocks) + len(s.output) }

// hash of its i-th block, which must be below known.
func (s *Sequence) hash(i int) Hash {
	if i < len(s.request.Blocks) {
		return s.request.Blocks[i]
	}
	return s.output[i-len(s.request.Blocks)]
}

// check says what is wrong with a request.
func (p *Profile) check(r *Request) error {
	switch {
	case r.PromptTokens < 1:
		return fmt.Errorf("a prompt of %d tokens", r.PromptTokens)
	case r.MaxTokens < 0:
		return fmt.Errorf("an output of %d tokens", r.MaxTokens)
	case r.PromptTokens > p.MaxModelLen || r.MaxTokens > p.MaxModelLen-r.PromptTokens:
		return fmt.Errorf("%w: %d + %d tokens, want at most %d", ErrTooLong, r.PromptTokens, r.MaxTokens, p.MaxModelLen)
	case (r.Blocks != nil || r.Output != nil) && len(r.Blocks) != r.PromptTokens/p.BlockSize:
		return fmt.Errorf("hashes of %d blocks, want %d: %d tokens in blocks of %d",
			len(r.Blocks), r.PromptTokens/p.BlockSize, r.PromptTokens, p.BlockSize)
	}
	return nil
}
