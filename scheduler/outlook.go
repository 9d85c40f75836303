package scheduler

import (
	"math"
	"time"

	"penstock/scheduler/engine"
)

// scene is what an instance does at a moment, whatever it is asked for. Times are
// seconds.
type scene struct {
	others   float64 // requests in it that are not ours, as far as that is believed
	queued   float64 // requests in its own queue, likewise
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
	prompt   float64 // tokens of it
	whole    float64 // to compute of it, if none is cached
	output   float64 // tokens that its answer will have
	half     float64 // of these
	looks    float64 // tokens that one of them looks back on, in the mean
	patience float64
	others   usual
	left     float64 // tokens that others' answers still have, in the mean
	context  float64 // tokens that these look back on
	heard    rumour
	given    uint64 // Scheduler.given
	at       moment // Query.Now
}

// viewOf leaves out what the candidates say.
func viewOf(q *Query, output, patience float64, others usual) view {
	prompt, half, left := float64(q.PromptTokens), output/2, others.output/2
	return view{
		q: q, patience: patience, at: momentOf(q.Now),
		prompt: prompt, whole: atLeast(prompt, 1), output: output, half: half, looks: prompt + half,
		others: others, left: left, context: others.fresh + left,
	}
}

// observe fills in the scene: what the instance does at this moment.
func (c *candidate) observe(v *view) {
	i, others := c.inst, &v.others
	rates, w := i.rates.Load(), &i.row.work
	foreign, prompts := c.others, w.prompts.Load()
	c.prompts = prompts
	c.ahead = i.ahead(v.q.Now, prompts, rates.Token) + c.queued*others.fresh
	c.left = float64(i.row.decode.Load()) + foreign*v.left
	answers := float64(w.answers.Load()) + foreign
	step := rates.StepTime(answers, float64(w.context.Load())+foreign*v.context)
	under := 0.0
	if answers > 0 {
		under = step
	}
	c.answers, c.step, c.under = answers, step, under
	c.head = rates.Overhead + under
	arrivals, load := w.arrivals.counts(v.at)
	c.arrivals, c.stretch = arrivals*perSecond, 1/atLeast(1-load*(perSecond*1e-6), leastIdle)
	size, used := i.room()
	c.size, c.used, c.crowding = float64(size), 0, 0
	if used > 0 && size > 0 {
		c.used = float64(used)
		if answers > 0 {
			each := 1 / float64(size)
			c.crowding = i.crowd.of(float64(used)*each, answers) * each
		}
	}
}

// foresee fills in the outlook: what the request's own first token and answer
// take, what those under way lose by it, and what those to come do. An answer's
// time counts by its tokens' mean distance: a reader minds patience times that
// as much as the wait for the first.
func (c *candidate) foresee(v *view) {
	i, output := c.inst, v.output
	rates := i.rates.Load()
	answers, step, stretch := c.answers, c.step, c.stretch
	found, fresh := 0.0, v.whole
	if c.blocks > 0 {
		found = atMost(float64(int(c.blocks)*v.q.BlockTokens), v.prompt)
		fresh = atMost(atLeast(v.prompt-found*i.trust.share(), leastFresh), fresh)
	}
	short := 0.0
	if answers > 0 {
		if over := c.used + atMost(fresh+output, c.size) - c.size; over > 0 && c.size > 0 {
			short = over / atLeast(c.used, 1) * c.left / answers * step
		}
		if c.full || c.crowded {
			short = atLeast(short, c.left/answers*step/answers)
		}
	}
	busy := fresh * rates.Token
	wait := c.ahead*rates.Ahead + short
	ttft := c.head + wait + busy
	c.found, c.fresh, c.short, c.busy, c.wait, c.ttft = found, fresh, short, busy, wait, ttft

	longer := (rates.Answer + rates.Context*v.looks) * stretch
	gap := step*stretch + longer
	slowed := answers * v.others.rate // seconds of each of their tokens, for one of computing
	harm := slowed*busy + answers*longer
	held := ttft + output*gap
	later := c.arrivals * (busy*(wait+busy/2)*stretch + (fresh+v.half)*held*held*c.crowding)
	lost := busy * math.Float64frombits(i.row.work.again.Load())
	cost := ttft + v.patience*(gap+harm) + later + lost*(1+v.patience*slowed)
	if c.ties > 0 {
		cost -= float64(c.ties) * tie * rates.Token
	}
	c.cost = cost
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
