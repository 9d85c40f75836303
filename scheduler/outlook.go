package scheduler

import (
	"math"
	"time"

	"penstock/scheduler/engine"
)

// scene is what an instance does at a moment, whatever it is asked for. Times are
// seconds.
type scene struct {
	prompts  int64   // in it, without a first byte, in 1/1024
	ahead    float64 // tokens to compute before another's
	answers  float64 // that are being made
	left     float64 // tokens of them
	step     float64 // time of a step, with these
	under    float64 // of one under way, that a first token waits for
	head     float64 // to the first token of an empty prompt, if nothing was ahead
	arrivals float64 // requests a second
	stretch  float64 // of a step, by the prompts that are computed in between
	size     float64 // of the KV cache, in tokens
	used     float64 // of that
	crowding float64 // see crowd; for each token
}

// outlook is what would become of a request on a candidate. Times are seconds.
type outlook struct {
	found float64 // prompt tokens that the index finds there
	fresh float64 // prompt tokens that it would have to compute
	busy  float64 // time that computing them takes
	wait  float64 // until that begins
	short float64 // of wait, for want of room in the KV cache
	ttft  float64 // time to the first token
	cost  float64 // time that it takes, and takes from others
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
type usual struct {
	fresh, output float64
	rate          float64 // of answers that end, for each token of all under way
}

// view is what the outlooks of all candidates of a decision have in common.
type view struct {
	q        *Query
	output   float64 // tokens that its answer will have
	patience float64
	others   usual
	heard    rumour
	given    uint64 // Scheduler.given
	at       moment // Query.Now
}

// observe fills in the scene: what the instance does at this moment.
func (c *candidate) observe(v *view) {
	i, others := c.inst, &v.others
	rates, w := i.rates.Load(), &i.row.work
	told, heard := &c.load, &v.heard
	f, g := heard.worth(newer(v.given, i.said.given.Load()))
	foreign := heard.foreign + f*(float64(told.foreign)-heard.foreign)
	waiting := heard.waiting + g*(float64(told.waiting)-heard.waiting)
	c.prompts = w.prompts.Load()
	c.ahead = i.ahead(v.q.Now, c.prompts, rates.Token) + waiting*others.fresh
	c.answers = float64(w.answers.Load()) + foreign
	c.left = float64(i.row.decode.Load()) + foreign*others.output/2
	c.step = rates.StepTime(c.answers, float64(w.context.Load())+foreign*(others.fresh+others.output/2))
	c.under = 0
	if c.answers > 0 {
		c.under = c.step
	}
	c.head = rates.Overhead + c.under
	arrivals, load := w.arrivals.counts(v.at)
	c.arrivals, c.stretch = arrivals*perSecond, 1/atLeast(1-load*(perSecond*1e-6), leastIdle)
	size, used := i.room()
	c.size, c.used, c.crowding = float64(size), float64(max(used, 0)), 0
	if c.used > 0 && c.answers > 0 && size > 0 {
		each := 1 / c.size
		c.crowding = i.crowd.of(c.used*each, c.answers) * each
	}
}

// foresee fills in the outlook: what the request's own first token and answer
// take, what those under way lose by it, and what those to come do. An answer's
// time counts by its tokens' mean distance: a reader minds patience times that
// as much as the wait for the first.
func (c *candidate) foresee(v *view) {
	i, q, output := c.inst, v.q, v.output
	rates := i.rates.Load()
	prompt := float64(q.PromptTokens)
	c.found = atMost(float64(int(c.blocks)*q.BlockTokens), prompt)
	c.fresh = atMost(atLeast(prompt-c.found*i.trust.share(), leastFresh), atLeast(prompt, 1))
	c.short = 0
	if c.answers > 0 {
		if over := c.used + atMost(c.fresh+output, c.size) - c.size; over > 0 && c.size > 0 {
			c.short = over / atLeast(c.used, 1) * c.left / c.answers * c.step
		}
		if c.full || c.crowded {
			c.short = atLeast(c.short, c.left/c.answers*c.step/c.answers)
		}
	}
	c.busy = c.fresh * rates.Token
	c.wait = c.ahead*rates.Ahead + c.short
	c.ttft = c.head + c.wait + c.busy

	longer := (rates.Answer + rates.Context*(prompt+output/2)) * c.stretch
	gap := c.step*c.stretch + longer
	slowed := c.answers * v.others.rate // seconds of each of their tokens, for one of computing
	harm := slowed*c.busy + c.answers*longer
	held := c.ttft + output*gap
	later := c.arrivals * (c.busy*(c.wait+c.busy/2)*c.stretch + (c.fresh+output/2)*held*held*c.crowding)
	lost := c.busy * math.Float64frombits(i.row.work.again.Load())
	c.cost = c.ttft + v.patience*(gap+harm) + later + lost*(1+v.patience*slowed) - float64(c.ties)*tie*rates.Token
}

// began notes a prompt: so many tokens of it had to be computed, so many were
// found in the cache. As much of what a request's own tokens evict, now or when
// the cache is full, is computed again some day.
func (w *work) began(fresh, hit int64) {
	computed, found := float64(w.computed.Add(fresh)), float64(w.found.Add(hit))
	w.again.Store(math.Float64bits(found / max(found+computed, 1)))
}

// newer is how much one count is ahead of another that was read later.
func newer(a, b uint64) uint64 {
	if a < b {
		return 0
	}
	return a - b
}

// leastIdle bounds what those to come lose: who is busy all the time has a queue
// that no formula of a steady state knows.
const leastIdle = 0.05

// ahead is how many prompt tokens are still to be computed: what was given to it
// less what it has done of the first since the last was done.
func (i *Instance) ahead(now, prompts int64, token float64) float64 {
	w := &i.row.work
	fresh := w.fresh.Load()
	if fresh <= 0 {
		return float64(w.held.Load())
	}
	return i.undone(float64(fresh), now, prompts, token) + float64(w.held.Load())
}

func (i *Instance) undone(fresh float64, now, prompts int64, token float64) float64 {
	if prompts <= 0 {
		return fresh
	}
	p := &i.row.prompts
	done := seconds(now-max(p.since.Load(), p.last.Load())) / max(token, 1e-12)
	return fresh - min(max(done, 0), fresh*onePrompt/float64(max(prompts, onePrompt)))
}

// room is how large the KV cache is, in tokens, and how much of it is in use:
// as the engine said, and what ours have changed since; 0: it does not say.
func (i *Instance) room() (size, used int64) {
	if !i.live().Has(engine.HasKVUsage) {
		return 0, 0
	}
	w := &i.row.work
	return i.said.kvSize.Load(), i.said.kvRest.Load() + w.kept.Load() + w.wanted.Load()
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
	return c.open() && (c.size == 0 || c.used+others.fresh+others.output <= c.size || c.under == 0)
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
