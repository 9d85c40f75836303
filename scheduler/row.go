package scheduler

import "sync/atomic"

// lineSize keeps what different goroutines write on different cache lines: two
// lines of 64 bytes, as CPUs prefetch them in pairs.
const lineSize = 128

// row is our own account of an instance: what every request writes, on cache
// lines of its own.
type row struct {
	inFlight atomic.Int64  // requests given to it that have not ended
	prefill  atomic.Int64  // prompt tokens of those without a first byte
	decode   atomic.Int64  // output tokens still expected of the others
	streams  atomic.Int64  // requests past their first byte
	sent     atomic.Uint64 // requests ever given to it
	ended    atomic.Uint64 // requests ever ended
	moved    atomic.Uint64 // times that an answer went on
	bytesIn  atomic.Uint64 // of answers
	conns    atomic.Int64  // connections of the gateway's to it
	movedAt  atomic.Int64  // when an answer last went on, on the clock of Query.Now
	_        [lineSize - 10*8]byte

	prompts prompts
	_       [2*lineSize - 2*24*4 - 7*8]byte
}

// said is what the instance itself reported last. Its keeper writes it, each
// word for itself: a decision may see half of two reports, which are as good as
// either.
type said struct {
	live    atomic.Uint32 // signals believed now, engine.Signals
	running atomic.Int64
	waiting atomic.Int64
	kvUsage atomic.Int64  // millionths
	kvSize  atomic.Int64  // tokens
	foreign atomic.Int64  // requests in it that are not ours
	ended   atomic.Uint64 // row.ended when the report was asked for
	known   atomic.Int64  // requests that it is known to run at once
	limit   atomic.Int64  // requests that it says it runs at once, at most; 0: not said
	tokens  atomic.Uint64 // prompt and output tokens that it has counted
	_       [lineSize - 10*8]byte
}

// Reservation is one request's place in its instance's account.
type Reservation struct {
	inst     *Instance
	mean     *mean
	prefill  int64
	decode   int64 // output expected, less what came
	expected int64 // at first
	produced int64
	at       int64 // Query.Now
	begun    bool
	wait     wait
}

// reserve gives the request a place, or says that there is none: the instance
// is leaving, or full by its max_in_flight, the one limit that is exact, however
// many decide at once.
func (i *Instance) reserve(q *Query, expected int64, m *mean) (Reservation, bool) {
	n, most := i.row.inFlight.Add(1), i.options.maxInFlight
	if most > 0 && n > most || i.Leaving() {
		i.row.inFlight.Add(-1)
		return Reservation{}, false
	}
	i.row.sent.Add(1)
	i.row.prefill.Add(int64(q.PromptTokens))
	w := q.wait()
	i.row.prompts.begin(w, q.Now)
	return Reservation{
		inst: i, mean: m, prefill: int64(q.PromptTokens), decode: expected, expected: expected,
		at: q.Now, wait: w,
	}, true
}

// FirstByte notes that the answer begins to come: the prompt is done. now is on
// the clock of Query.Now.
func (r *Reservation) FirstByte(now int64) {
	if r.inst == nil || r.begun {
		return
	}
	r.begun = true
	r.inst.row.prompts.end(r.wait, now, true)
	r.inst.row.prefill.Add(-r.prefill)
	r.inst.row.decode.Add(r.decode)
	r.inst.row.streams.Add(1)
	r.inst.row.moved.Add(1)
}

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

// Tokens notes n more tokens of output.
func (r *Reservation) Tokens(n int) {
	if r.inst == nil || !r.begun || n <= 0 {
		return
	}
	r.produced += int64(n)
	less := min(int64(n), r.decode)
	r.decode -= less
	r.inst.row.decode.Add(-less)
}

// End gives the place back. A reservation ends once.
func (r *Reservation) End() {
	i := r.inst
	if i == nil {
		return
	}
	if r.begun {
		i.row.streams.Add(-1)
		i.row.decode.Add(-r.decode)
		r.mean.add(r.produced)
	} else {
		i.row.prompts.end(r.wait, 0, false)
		i.row.prefill.Add(-r.prefill)
	}
	r.inst = nil
	i.row.ended.Add(1)
	if i.row.inFlight.Add(-1) == 0 && i.Leaving() {
		i.wake()
	}
	i.free()
}
