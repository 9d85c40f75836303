package sim

import (
	"sync/atomic"
	"time"

	"penstock/bench/model"
)

// call is one HTTP request in the engine: a sequence for each of its choices.
// The driver writes ready and open and rings wake; the rest belongs to the
// request's goroutine.
type call struct {
	choices []choice
	stream  bool          // wake it for every token
	open    atomic.Int32  // choices that are not finished
	wake    chan struct{} // of one place: rings that nobody heard yet are one
}

// choice is one of a call's answers.
type choice struct {
	call     *call
	prompt   *prompt
	output   output
	sequence *model.Sequence
	ready    atomic.Int32  // tokens generated
	sent     int           // of them, written to the client
	last     time.Duration // when the driver saw its last token
}

func newCall(count int, stream bool) *call {
	c := &call{choices: make([]choice, count), stream: stream, wake: make(chan struct{}, 1)}
	c.open.Store(int32(count))
	return c
}

// notify wakes the request's goroutine, which may be busy with what came before.
func (c *call) notify() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// request is what the model is asked for.
func (c *choice) request() model.Request {
	return model.Request{
		PromptTokens: c.prompt.Tokens(), MaxTokens: c.output.tokens,
		Blocks: c.prompt.blocks, Output: c.output.blocks(c.prompt), Owner: c,
	}
}

// usage sums a call's tokens up; a prompt with several choices counts once, as
// in vLLM. It is complete once the call is.
func (c *call) usage() (u usage) {
	for n := range c.choices {
		x := &c.choices[n]
		u.completion += min(int(x.ready.Load()), x.output.tokens)
		if n == 0 || x.prompt != c.choices[n-1].prompt {
			u.prompt += x.prompt.Tokens()
			if c.open.Load() == 0 {
				u.cached += x.sequence.Cached()
			}
		}
	}
	return u
}

// usage counts tokens.
type usage struct{ prompt, completion, cached int }
