package fleet

import (
	"time"

	"penstock/bench/model"
	"penstock/bench/workload"
	"penstock/scheduler"
)

// call is one request on its way.
type call struct {
	*workload.Request
	query   scheduler.Query
	place   scheduler.Reservation
	gateway int32
	inst    int32 // -1: none yet

	grains []model.Hash // the engine's blocks
	prefix []uint64
	tail   workload.Tail
	next   func() model.Hash

	slot     int // in its instance's calls
	tries    int // on instances that broke off
	cached   int // prompt tokens that the engine found in its cache
	believed int // prompt tokens that the gateway thought it would find
	begun    bool
	served   bool // has had a token from its engine, or is over
	untold   int  // tokens that the reservation was not told of
	first    time.Duration
	arrived  time.Duration
	wait     float64       // seconds that it will still stand in line, as its gateway last foretold
	promised time.Duration // from its arrival to its first token
}

// gateways see the prompt in blocks of so many tokens.
const prefixBlock = 64

// toldEvery is how many tokens come between two words of them to the scheduler:
// its account of a stream is never further off, and a token costs little.
const toldEvery = 16

// calls are those to use again.
type calls struct{ free []*call }

func (f *calls) of(r *workload.Request) *call {
	var c *call
	if n := len(f.free) - 1; n >= 0 {
		c, f.free = f.free[n], f.free[:n]
		*c = call{grains: c.grains[:0], prefix: c.prefix[:0], next: c.next}
	} else {
		c = new(call)
		c.next = c.output
	}
	c.Request, c.inst = r, -1
	c.grains, c.tail = r.Hashes(c.grains)
	const step = prefixBlock / workload.Grain
	for i := step - 1; i < len(c.grains); i += step {
		c.prefix = append(c.prefix, uint64(c.grains[i]))
	}
	c.query = scheduler.Query{
		Model: modelName, PromptTokens: r.Tokens, MaxTokens: r.MaxTokens, Stream: true, Session: r.Session, Key: r.Key + 1, Like: uint64(r.Key + 1), Prefix: c.prefix, BlockTokens: prefixBlock,
	}
	return c
}

func (f *calls) done(c *call) {
	c.Request = nil
	f.free = append(f.free, c)
}

// asked is what the engine is asked.
func (c *call) asked() model.Request {
	return model.Request{PromptTokens: c.Tokens, MaxTokens: c.Output, Blocks: c.grains, Output: c.next, Owner: c}
}

// output is the hash of the next block.
func (c *call) output() model.Hash { return c.tail.Next() }

// tokens notes n more of them.
func (c *call) tokens(n int, now time.Duration) {
	if c.untold += n; c.begun && c.untold >= toldEvery {
		c.place.Tokens(c.untold, int64(now))
		c.untold = 0
	}
}
