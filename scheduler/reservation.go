package scheduler

import (
	"time"

	"penstock/scheduler/prefix"
	"penstock/scheduler/record"
)

// Reservation is one request's place in its instance's account, from the
// decision to the last byte. It belongs to the request's goroutine, and so does
// the query's Prefix as long as it lasts.
type Reservation struct {
	inst     *Instance
	sched    *Scheduler
	prefill  int64
	decode   int64 // output expected, less what came
	expected int64 // at first
	produced int64
	like     uint64
	key      int32
	at       int64 // Query.Now
	begun    bool
	odd      bool // its first byte teaches nothing
	refused  bool // what it got is no answer
	left     bool // the client did not wait for it
	socket   bool // it is a WebSocket that passes through
	wait     wait

	fresh       int64   // prompt tokens to compute
	found       int64   // of the others, those that the index found
	queued      int64   // of them, what counts as being computed: of a request whose first token is not heard of, the share of its time
	prompt      int64   // in 1/1024: the request itself, likewise
	ahead       float64 // tokens computed before the first of its own
	step        float64 // of the instance, when it came
	ttft        float64 // predicted
	seq         uint64  // of the decision, in the records; 0: it is not there
	steps       steps
	cached      prefix.Added
	blocks      []uint64 // of the prompt: the query's memory
	blockTokens int
}

// steps is where a stream was when its speed was last looked at.
type steps struct {
	at       int64
	produced int64
	computed int64
}

// reserve gives the request a place, or says that there is none: the instance
// is leaving, or full by its max_in_flight, the one limit that is exact, however
// many decide at once.
func (s *Scheduler) reserve(sc *scratch, c *candidate, q *Query) (Reservation, bool) {
	i := c.inst
	n, most := i.row.inFlight.Add(1), i.options.maxInFlight
	if most > 0 && n > most || i.Leaving() {
		i.row.inFlight.Add(-1)
		return Reservation{}, false
	}
	r := Reservation{
		inst: i, sched: s, prefill: int64(q.PromptTokens), decode: s.expected(q), like: q.Like, key: int32(q.Key),
		at: q.Now, wait: q.wait(), fresh: int64(c.fresh), found: int64(c.found), ahead: c.ahead, step: c.under, ttft: c.ttft,
	}
	r.expected = r.decode
	r.steps.computed = i.row.work.computed.Load()
	r.odd = !r.wait.timed()
	s.given.Add(1)
	i.row.sent.Add(1)
	i.row.given.Store(q.Now)
	i.row.prefill.Add(r.prefill)
	i.row.prompts.begin(r.wait, q.Now)
	w := &i.row.work
	w.context.Add(r.prefill)
	w.kept.Add(r.fresh)
	w.arrivals.add(int64(c.busy*1e6), q.Now)
	r.queued, r.prompt = r.fresh, onePrompt
	if r.wait.answer > 0 { // nobody will hear of its first token
		share := c.ttft / (c.ttft + float64(r.expected)*c.step + 1e-9)
		r.queued, r.prompt = int64(float64(r.fresh)*share), int64(onePrompt*share)
		w.answers.Add(1)
	}
	if r.wait.opaque || r.wait.answer > 0 && r.expected <= 1 {
		r.prompt = 0 // whether it keeps others waiting, nothing tells: prompts alone are computed many at a time
	}
	w.fresh.Add(r.queued)
	w.prompts.Add(r.prompt)
	s.prompt.add(r.fresh)
	r.blocks, r.blockTokens = q.Prefix, max(q.BlockTokens, 1)
	r.cached = s.remember(sc, c, q, r.expected)
	s.service.charge(r.key, promptCost*r.fresh+answerCost*r.expected)
	return r, true
}

// Forget says that what the request gets is no answer: an error, say. It teaches
// nothing of how fast the instance is, how long answers are or what is cached.
func (r *Reservation) Forget() {
	r.odd, r.refused = true, true
	r.noteFirst(-1)
}

// Opened says that the request became a WebSocket, of which nothing is learned:
// what passes is nobody's answer. now is on the clock of Query.Now.
func (r *Reservation) Opened(now int64) {
	if r.inst != nil && !r.socket {
		r.socket = true
		r.inst.row.sockets.Add(1)
	}
	if r.seq != 0 {
		r.sched.records.Opened(r.seq, time.Duration(now-r.at))
	}
	r.Forget()
}

// Closed says how the WebSocket ended, also after End.
func (r *Reservation) Closed(now int64, s record.Socket) {
	if r.seq != 0 {
		r.sched.records.Closed(r.seq, time.Duration(now-r.at), s)
	}
}

// Leave says that the client did not wait for what was computed for it.
func (r *Reservation) Leave() { r.left = true }

// FirstByte notes that the answer begins to come: the prompt is done. now is on
// the clock of Query.Now.
func (r *Reservation) FirstByte(now int64) {
	if r.inst == nil || r.begun {
		return
	}
	r.begun = true
	r.noteFirst(now - r.at)
	row := &r.inst.row
	row.prompts.end(r.wait, now, !r.refused)
	row.prefill.Add(-r.prefill)
	row.decode.Add(r.decode)
	row.streams.Add(1)
	row.moved.Add(1)
	if !r.refused {
		row.work.began(r.fresh, r.found)
	}
	r.computed()
	if r.wait.answer == 0 {
		row.work.answers.Add(1)
	}
	r.learnFirst(now)
	if r.sched.policy.waits { // it may be ready for the next prompt
		r.inst.free()
	}
}

// computed takes the prompt out of the account of what is to be computed.
func (r *Reservation) computed() {
	w := &r.inst.row.work
	w.fresh.Add(-r.queued)
	w.prompts.Add(-r.prompt)
}

// Cached notes how many prompt tokens the engine says that it found in its
// cache; 0 counts only of one that has said more before. It may say anything:
// what is not in the prompt it did not find.
func (r *Reservation) Cached(tokens int) {
	i := r.inst
	if i == nil || tokens < 0 || tokens == 0 && !i.tellsCached.Load() {
		return
	}
	i.tellsCached.Store(true)
	i.trust.add(float64(r.found), float64(min(int64(tokens), r.prefill)))
}

// Believed is how many prompt tokens the instance was thought to have cached.
func (r *Reservation) Believed() int { return int(r.prefill - r.fresh) }

// Expected is how many tokens of output the request was thought to have.
func (r *Reservation) Expected() int { return int(r.expected) }

// Moved notes that n more bytes of the answer came. now is on the clock of
// Query.Now.
func (r *Reservation) Moved(n int, now int64) {
	if r.inst != nil {
		r.inst.row.moved.Add(1)
		r.inst.row.bytesIn.Add(uint64(n))
		r.inst.row.movedAt.Store(now)
	}
}

// Connected and Disconnected count the gateway's connections to the instance.
func (i *Instance) Connected()    { i.row.conns.Add(1) }
func (i *Instance) Disconnected() { i.row.conns.Add(-1) }

// Tokens notes n more tokens of output, now on the clock of Query.Now.
func (r *Reservation) Tokens(n int, now int64) {
	if r.inst == nil || !r.begun || n <= 0 {
		return
	}
	r.produced += int64(n)
	if more := min(r.produced-r.expected, int64(n)); more > 0 {
		r.sched.service.charge(r.key, answerCost*more)
	}
	less := min(int64(n), r.decode)
	r.decode -= less
	r.inst.row.decode.Add(-less)
	r.inst.row.work.context.Add(int64(n))
	r.inst.row.work.kept.Add(int64(n))
	r.learnSteps(now)
}

// Answered notes that the answer is whole, and has so many tokens; 0: nobody
// said. now is on the clock of Query.Now.
func (r *Reservation) Answered(tokens int, now int64) {
	r.Tokens(tokens-int(r.produced), now)
	r.learnWhole(now)
}

// End gives the place back. A reservation ends once.
func (r *Reservation) End() {
	i := r.inst
	if i == nil {
		return
	}
	w := &i.row.work
	w.context.Add(-r.prefill - r.produced)
	w.kept.Add(-r.fresh - r.produced)
	if r.begun || r.wait.answer > 0 {
		w.answers.Add(-1)
	}
	if r.begun {
		i.row.streams.Add(-1)
		i.row.decode.Add(-r.decode)
	} else {
		r.noteFirst(-1)
		r.computed()
		i.row.prompts.end(r.wait, 0, false)
		i.row.prefill.Add(-r.prefill)
	}
	if r.begun && !r.refused {
		if r.produced > 0 { // else nobody counted
			r.sched.output.Note(r.like, int(r.prefill), int(r.produced))
		}
		r.sched.remembered(i, r.blocks, int(r.produced)/r.blockTokens)
	} else {
		r.sched.cached.Undo(r.cached)
		if !r.left { // for who leaves, the engine may have computed all of it
			r.sched.service.charge(r.key, -promptCost*r.fresh)
		}
	}
	if less := r.expected - r.produced; less > 0 {
		r.sched.service.charge(r.key, -answerCost*less)
	}
	if r.socket {
		i.row.sockets.Add(-1)
	}
	r.inst = nil
	i.row.ended.Add(1)
	if i.row.inFlight.Add(-1) == 0 && i.Leaving() {
		i.wake()
	}
	i.free()
}
