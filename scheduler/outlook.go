package scheduler

import (
	"math"
	"time"

	"penstock/scheduler/engine"
)

// outlook is what would become of a request on a candidate. Times are seconds.
type outlook struct {
	found float64 // prompt tokens that the index finds there
	fresh float64 // prompt tokens that it would have to compute
	ahead float64 // tokens to compute before them
	busy  float64 // time that computing its own takes
	wait  float64 // until that begins
	short float64 // of wait, for want of room in the KV cache
	step  float64 // time of a step, with the answers that are being made
	under float64 // of one under way, that the first token waits for
	ttft  float64 // time to the first token
	cost  float64 // time that it takes, and takes from others

	full    bool  // it takes nothing now
	prompts int64 // in it, without a first byte, in 1/1024
	head    float64
}

// leastFresh is what an engine computes of a prompt that it has whole: a block.
const leastFresh = 16

// tie is how many tokens to compute it is worth that a session or an adapter was
// there lately: more than what tells equals apart that are all but idle, less
// than a place in a queue.
const tie = 512

// onePrompt is a prompt in the account of those without a first byte.
const onePrompt = 1024

// usual is what requests have on average that nothing else is known of.
type usual struct{ fresh, output float64 }

// foresee fills in the outlook: what the request's own first token and answer
// take, what those under way lose by it, and what those to come do. An answer's
// time counts by its tokens' mean distance: a reader minds patience times that
// as much as the wait for the first.
func (c *candidate) foresee(q *Query, output, patience float64, others usual, heard *rumour, given uint64) {
	i := c.inst
	rates, w := i.rates.Load(), &i.row.work
	prompt := float64(q.PromptTokens)
	c.found = atMost(float64(int(c.blocks)*q.BlockTokens), prompt)
	c.fresh = atMost(atLeast(prompt-c.found*i.trust.share(), leastFresh), atLeast(prompt, 1))
	answers, context := float64(w.answers.Load()), float64(w.context.Load())
	foreign, waiting := heard.now(&c.load, newer(given, i.said.given.Load()))
	answers += foreign
	context += foreign * (others.fresh + others.output/2)
	left := float64(i.row.decode.Load()) + foreign*others.output/2
	arrivals := w.arrivals.perSecond(q.Now)
	idle := atLeast(1-w.load.perSecond(q.Now)/1e6, leastIdle)

	c.step, c.under = rates.StepTime(answers, context), 0
	if answers > 0 {
		c.under = c.step
	}
	c.prompts = w.prompts.Load()
	c.head = rates.Overhead + c.under
	c.ahead = i.ahead(q.Now, c.prompts, rates.Token) + waiting*others.fresh
	c.busy = c.fresh * rates.Token
	size, used := i.room()
	c.short = 0
	if answers > 0 {
		if over := used + atMost(c.fresh+output, size) - size; over > 0 {
			c.short = over / atLeast(used, 1) * left / answers * c.step
		}
		if c.full || c.crowded {
			c.short = atLeast(c.short, left/answers*c.step/answers)
		}
	}
	c.wait = c.ahead*rates.Ahead + c.short
	c.ttft = rates.Overhead + c.wait + c.busy + c.under

	// Prompts that are computed in between stretch every step.
	longer := (rates.Answer + rates.Context*(prompt+output/2)) / idle
	gap := c.step/idle + longer
	slowed := answers / atLeast(others.output, 1) // seconds of each of their tokens, for one of computing
	harm := slowed*c.busy + answers*longer
	later := arrivals * c.busy * (c.wait + c.busy/2) / idle
	if used > 0 && answers > 0 {
		held, share := c.ttft+output*gap, atMost(used/size, 1-leastIdle)
		later += arrivals * (c.fresh + output/2) / size * held * crowding(share, answers/share, held)
	}
	lost := c.busy * w.again()
	c.cost = c.ttft + patience*(gap+harm) + later + lost*(1+patience*slowed) - float64(c.ties)*tie*rates.Token
}

// again is the share of prompts that is found in the cache there: as much of what
// the request's own tokens evict, now or when the cache is full, is computed again
// some day.
func (w *work) again() float64 {
	found, computed := float64(w.found.Load()), float64(w.computed.Load())
	return found / atLeast(found+computed, 1)
}

// newer is how much one count is ahead of another that was read later.
func newer(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// crowding is how much longer those to come wait, for each unit that the share
// of the KV cache in use is higher: the derivative of the wait for one of k
// places that are each held for so long (Sakasegawa 1977).
func crowding(share, k, held float64) float64 {
	a := math.Sqrt(2*(k+1)) - 1
	idle := 1 / (1 - share)
	return held / k * power(share, a-1) * idle * (a + share*idle)
}

// power is x to the y, of 0 to 1 and not negative, linear between whole powers:
// math.Pow takes longer than all else of a decision.
func power(x, y float64) float64 {
	n := int(atMost(y, mostPower))
	p := 1 - (y-float64(n))*(1-x)
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			p *= x
		}
		x *= x
	}
	return p
}

// mostPower of less than 0.95 is as good as nothing.
const mostPower = 1 << 10

// leastIdle bounds what those to come lose: who is busy all the time has a queue
// that no formula of a steady state knows.
const leastIdle = 0.05

// ahead is how many prompt tokens are still to be computed: what was given to it
// less what it has done of the first since the last was done.
func (i *Instance) ahead(now, prompts int64, token float64) float64 {
	w, p := &i.row.work, &i.row.prompts
	fresh := float64(w.fresh.Load())
	if fresh > 0 && prompts > 0 {
		since := max(p.since.Load(), p.last.Load())
		done := seconds(now-since) / max(token, 1e-12)
		fresh -= min(max(done, 0), fresh*onePrompt/float64(max(prompts, onePrompt)))
	}
	return atLeast(fresh, 0) + float64(w.held.Load())
}

// room is how large the KV cache is, in tokens, and how much of it is in use:
// as the engine said, and what ours have changed since. An engine that does not
// say has room without end.
func (i *Instance) room() (size, used float64) {
	size = float64(i.said.kvSize.Load())
	if size == 0 || !i.live().Has(engine.HasKVUsage) {
		return math.Inf(1), 0
	}
	w := &i.row.work
	used = size*float64(i.said.kvUsage.Load())/1e6 + float64(w.kept.Load()-i.said.kept.Load()+w.wanted.Load())
	return size, atLeast(used, 0)
}

// ready says whether the instance would begin the request before another could
// be decided on, so that to hold it would only idle the engine: with a prompt
// under way it wants the next, and what takes it no longer than a request takes
// to come to it.
func (c *candidate) ready() bool { return c.short == 0 && c.open() }

// open is ready, whatever room in the KV cache the request needs.
func (c *candidate) open() bool {
	return !c.full && (c.prompts < 2*onePrompt || c.wait-c.short <= c.head)
}

// roomy says whether it is open to a usual request.
func (c *candidate) roomy(others usual) bool {
	size, used := c.inst.room()
	return c.open() && (used+others.fresh+others.output <= size || c.under == 0)
}

const (
	// leastHeld is how long an instance is left alone at least that should take
	// nothing, and overdue after how many times the wait that was predicted.
	leastHeld = 100 * time.Millisecond
	overdue   = 2
)

// overdue says whether an instance was given nothing for much longer than the
// request was to wait for it: what is predicted there is not so, and to hold the
// request could be for ever.
func (c *candidate) overdue(q *Query) bool {
	if q.Held == 0 {
		return false
	}
	since := max(q.Held, c.inst.row.given.Load())
	return seconds(q.Now-since) > max(overdue*c.wait, leastHeld.Seconds())
}

// atLeast and atMost are max and min of numbers: those of the language, of
// floats, take as long as a division.
func atLeast(v, bound float64) float64 {
	if v < bound {
		return bound
	}
	return v
}

func atMost(v, bound float64) float64 {
	if v > bound {
		return bound
	}
	return v
}
