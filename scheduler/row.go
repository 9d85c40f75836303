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
	moved    atomic.Uint64 // times that an answer went on: begun, or some tokens further
	_        [lineSize - 7*8]byte
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
	_       [lineSize - 8*8]byte
}

// Reservation is one request's place in its instance's account.
type Reservation struct {
	inst     *Instance
	mean     *mean
	prefill  int64
	decode   int64 // output expected, less what came
	expected int64 // at first
	produced int64
	begun    bool
}

// reserve gives the request a place, or says that the instance is full by its
// max_in_flight: the one limit that is exact, however many decide at once.
func (i *Instance) reserve(q *Query, expected int64, m *mean) (Reservation, bool) {
	if n := i.row.inFlight.Add(1); i.maxInFlight > 0 && n > i.maxInFlight {
		i.row.inFlight.Add(-1)
		return Reservation{}, false
	}
	i.row.sent.Add(1)
	i.row.prefill.Add(int64(q.PromptTokens))
	return Reservation{inst: i, mean: m, prefill: int64(q.PromptTokens), decode: expected, expected: expected}, true
}

// FirstByte notes that the answer begins to come: the prompt is done.
func (r *Reservation) FirstByte() {
	if r.inst == nil || r.begun {
		return
	}
	r.begun = true
	r.inst.row.prefill.Add(-r.prefill)
	r.inst.row.decode.Add(r.decode)
	r.inst.row.streams.Add(1)
	r.inst.row.moved.Add(1)
}

// Expected is how many tokens of output the request was thought to have.
func (r *Reservation) Expected() int { return int(r.expected) }

// Tokens notes n more tokens of output.
func (r *Reservation) Tokens(n int) {
	if r.inst == nil || !r.begun || n <= 0 {
		return
	}
	r.produced += int64(n)
	r.inst.row.moved.Add(1)
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
	r.inst = nil
	if r.begun {
		i.row.streams.Add(-1)
		i.row.decode.Add(-r.decode)
		r.mean.add(r.produced)
	} else {
		i.row.prefill.Add(-r.prefill)
	}
	i.row.inFlight.Add(-1)
	i.row.ended.Add(1)
	i.free()
}
