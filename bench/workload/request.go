package workload

import (
	"math/bits"
	"time"

	"penstock/bench/model"
	"penstock/scheduler/prefix"
)

// Request is one request, as its client and its engine know it.
type Request struct {
	At     time.Duration // of its arrival, since the stage began; the first begins with the run
	Stage  bool          // begins a new stage, when all that came before has ended
	Prompt []Span        // may be shared with other requests
	Tokens int           // of the prompt
	Output int           // tokens that are generated, at least 1
	Answer uint64        // the text of the output, as a later prompt's span names it

	MaxTokens int    // as the client says; -1: not
	Key       int    // which client's, from 0
	Session   uint64 // as the client says; 0: not
	Warm      bool   // comes to fill caches, and is not measured

	// Then is what the client sends after this request, which was answered or
	// refused at the given time; nil for nothing.
	Then func(ended time.Duration) *Request
}

// Span is a stretch of a prompt: the first tokens of a text.
type Span struct {
	Text   uint64
	Tokens int
}

// prompt sets what is asked.
func (r *Request) prompt(spans ...Span) *Request {
	r.Prompt, r.Tokens = spans, 0
	for _, s := range spans {
		r.Tokens += s.Tokens
	}
	return r
}

// Grain is how many tokens each of a prompt's hashes adds. A larger block's
// hashes are every second, every fourth … of them.
const Grain = 16

// Hashes appends the hashes of the prompt's full grains, each over all before it
// too, and returns where the answer goes on.
func (r *Request) Hashes(to []model.Hash) ([]model.Hash, Tail) {
	t := Tail{answer: r.Answer}
	for _, s := range r.Prompt {
		for read := 0; read < s.Tokens; {
			n := min(s.Tokens-read, Grain-t.filled)
			if t.add(s.Text, read, n) {
				to = append(to, t.sum())
			}
			read += n
		}
	}
	return to, t
}

// Tail is the end of a sequence, as far as its hashes go.
type Tail struct {
	state  uint64
	filled int // tokens of the grain that is not full
	answer uint64
	said   int
}

// Next is the hash of the next grain, once the answer has filled it.
func (t *Tail) Next() model.Hash {
	n := Grain - t.filled
	t.add(t.answer, t.said, n)
	t.said += n
	return t.sum()
}

// add reads n tokens of a text, and says whether they fill a grain.
func (t *Tail) add(text uint64, from, n int) bool {
	piece := text + uint64(from)*0x9e3779b97f4a7c15 + uint64(n)
	t.state = (bits.RotateLeft64(t.state, 23) ^ model.Mix(piece)) * 0xd6e8feb86659fd93
	t.filled = (t.filled + n) % Grain
	return t.filled == 0
}

// sum is a hash that the engines and the gateways' index know alike: to the index
// all blocks of a workload are of one size.
func (t *Tail) sum() model.Hash { return max(model.Hash(prefix.Fine(model.Mix(t.state))), 1) }
