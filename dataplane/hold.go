package dataplane

import (
	"cmp"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"penstock/dataplane/ring"
	"penstock/scheduler"
)

// holder keeps the requests that no instance can take now, and binds each one
// late: to an instance that can begin it, in the scheduler's order.
//
// A request enters through the lock-free ring of the instance that would have
// been its choice; one goroutine, run, empties all rings into the scheduler's
// line and goes along it whenever something changed. Who comes too many is in line
// as all others, until run has looked: whoever can be given away is, in order; if
// too many are left, the last of them is refused, who need not be the last to come.
type holder struct {
	sched    *scheduler.Scheduler
	log      *slog.Logger
	stations func() []*station
	max      int64 // in line after every look

	count   atomic.Int64 // who has entered and not left
	held    atomic.Int64 // in line after the last look
	tickets atomic.Uint64
	bell    ring.Bell
	changed atomic.Bool // something may have got room since the last look

	orphans orphans // rings whose instances have left

	line *scheduler.Line[*waiter] // run's own
	new  []*waiter                // of the rings, run's own
	ttft float64                  // predicted for whoever was asked for last; run's own
	told int64                    // when those who will be late were last let go; run's own
}

// waiter is one held request, as the holder sees it. It has its own copy of
// the query: the request may be gone when the holder looks at it.
type waiter struct {
	query    scheduler.Query
	ticket   uint64
	deadline int64 // on the gateway's clock, 0: none
	promised int64 // likewise, by when the first token is to come
	station  *station
	state    atomic.Uint32
	decision scheduler.Decision // the last; the holder's until it has closed done
	done     chan struct{}      // closed when the state is final
}

const (
	waiting   = iota
	bound     // decision says what became of it
	cancelled // the client left, or its time is over
	displaced // too many wait
	faulty    // the decision failed inside the router
	belated   // its turn comes too late for what was promised
)

// enter puts a request in the line; nil when there is none, or too many come at
// once.
func (h *holder) enter(q *scheduler.Query, st *station, deadline, promised int64) *waiter {
	if h.max == 0 {
		return nil
	}
	h.count.Add(1)
	w := &waiter{query: *q, ticket: h.tickets.Add(1), deadline: deadline, promised: promised, station: st, done: make(chan struct{})}
	w.query.ID, w.query.Model, w.query.Prefix = strings.Clone(q.ID), strings.Clone(q.Model), slices.Clone(q.Prefix)
	st.pending.Add(1)
	at := h.push(w)
	if at == nil {
		h.leave(w)
		return nil
	}
	if at.gone.Load() { // it left the table before it was looked at
		h.adopt(at)
	}
	h.bell.Ring()
	return w
}

// push takes the ring of the request's own station, or any other's with room:
// which ring it was means nothing once it is in the line. nil: all are full.
func (h *holder) push(w *waiter) *station {
	if w.station.ring.TryPush(w) {
		return w.station
	}
	for _, st := range h.stations() {
		if st.ring.TryPush(w) {
			return st
		}
	}
	return nil
}

// leave is called once by whoever entered, when done with the waiter. The last one
// has the line looked at: nobody waits for any instance now.
func (h *holder) leave(w *waiter) {
	w.station.pending.Add(-1)
	if h.count.Add(-1) == 0 {
		h.bell.Ring()
	}
}

// freed is the scheduler's hook: something may have got room.
func (h *holder) freed() {
	if h.count.Load() > 0 {
		h.changed.Store(true)
		h.bell.Ring()
	}
}

// run is the one consumer of all rings. now is the gateway's clock.
func (h *holder) run(stop <-chan struct{}, now func() int64, random func() uint64) {
	for {
		h.look(now(), random)
		if !h.bell.Sleep() {
			continue
		}
		if h.pushed() {
			h.bell.Wake()
			continue
		}
		select {
		case <-h.bell.C():
		case <-stop:
			h.dissolve(now())
			return
		}
	}
}

// look takes in who has come, and goes along the line: along all of it if
// something changed, which nobody tells while the line is empty.
func (h *holder) look(now int64, random func() uint64) {
	h.prune(now)
	h.release(now)
	changed := h.changed.Swap(false) || h.line.Len() == 0
	h.collect(now)
	place := func(w *waiter) (scheduler.Decision, bool) { return h.place(w, now, random()) }
	if changed {
		h.line.Serve(now, place)
	} else {
		h.line.Continue(now, place)
	}
	if most := int(h.max); h.line.Len() > most {
		h.shorten(now, most, place)
	}
	h.held.Store(int64(h.line.Len()))
}

// shorten gives away without waiting for a better place, and refuses whoever is
// too many still.
func (h *holder) shorten(now int64, most int, place func(*waiter) (scheduler.Decision, bool)) {
	h.line.Relieve(now, most, func(w *waiter) (d scheduler.Decision, left bool) {
		w.query.Eager = true
		d, left = place(w)
		w.query.Eager = false
		return d, left
	})
	for h.line.Len() > most {
		h.line.Drop().end(displaced)
	}
}

// collect moves what the rings hold to the line, by ticket.
func (h *holder) collect(now int64) {
	for _, st := range h.stations() {
		h.empty(st)
	}
	for _, st := range h.orphans.all() {
		h.empty(st)
	}
	slices.SortFunc(h.new, func(a, b *waiter) int { return cmp.Compare(a.ticket, b.ticket) })
	for _, w := range h.new {
		h.line.Add(w, &w.query, now)
	}
	clear(h.new)
	h.new = h.new[:0]
}

// empty takes what a station's ring holds.
func (h *holder) empty(st *station) {
	for {
		w, ok := st.ring.TryPop()
		if !ok {
			return
		}
		h.new = append(h.new, w)
	}
}

func (h *holder) pushed() bool {
	full := func(st *station) bool { return st.ring.Len() > 0 }
	return slices.ContainsFunc(h.stations(), full) || slices.ContainsFunc(h.orphans.all(), full)
}

// orphans are the stations of instances that have left, as long as somebody may
// still push to their rings: until nobody waits there.
type orphans struct {
	mu   sync.Mutex
	list []*station
	some atomic.Bool // list is not empty
}

// all costs nothing where there are none, which is nearly always.
func (o *orphans) all() []*station {
	if !o.some.Load() {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sift()
	return slices.Clone(o.list)
}

// sift lets go of those where nobody waits, neither of their own nor for want of
// room elsewhere: who comes there later adopts it himself. The caller holds mu.
func (o *orphans) sift() {
	o.list = slices.DeleteFunc(o.list, func(st *station) bool { return st.pending.Load() == 0 && st.ring.Len() == 0 })
	o.some.Store(len(o.list) > 0)
}

// adopt looks after the ring of a station that is no longer in the table.
func (h *holder) adopt(st *station) {
	h.orphans.mu.Lock()
	h.orphans.list = append(h.orphans.list, st)
	h.orphans.sift() // now: with an empty line, nobody looks at the list
	h.orphans.mu.Unlock()
	h.freed()
}

// prune takes out whose wait is over. Who was not asked for stands behind one who
// was, and would have waited no less.
func (h *holder) prune(now int64) {
	h.line.Prune(func(w *waiter) bool {
		if w.deadline != 0 && now >= w.deadline && w.state.Load() == waiting {
			w.decision.TTFT = cmp.Or(w.decision.TTFT, h.ttft)
			w.cancel()
		}
		return w.state.Load() != waiting
	})
}

// releaseEvery is how often who will be late is looked for.
const releaseEvery = int64(sweepEvery)

// release lets go whose turn will come too late, as the line moves: what is held
// for somebody who is refused in the end makes others late too.
func (h *holder) release(now int64) {
	if now-h.told < releaseEvery {
		return
	}
	h.told = now
	h.line.Wait(now, func(w *waiter, wait float64) {
		if w.promised != 0 && w.state.Load() == waiting && float64(w.promised-now) < wait*1e9 {
			w.decision.TTFT = wait
			w.end(belated)
		}
	})
}

// place says whether w has left the line.
func (h *holder) place(w *waiter, now int64, chance uint64) (d scheduler.Decision, left bool) {
	if w.state.Load() != waiting {
		return d, true
	}
	defer func() { // one request's fault must not be the end of all
		if p := recover(); p != nil {
			h.log.Error("a request failed inside the router", "panic", p, "stack", string(debug.Stack()))
			d, left = scheduler.Decision{}, true
			w.end(faulty)
		}
	}()
	w.query.Now, w.query.Rand = now, chance
	d = h.sched.Pick(&w.query)
	w.decision = d
	if d.Verdict == scheduler.Full {
		h.ttft = d.TTFT
		return d, false
	}
	if !w.end(bound) {
		d.Reservation.End()
	}
	return d, true
}

// end ends the wait; false: it had ended.
func (w *waiter) end(state uint32) bool {
	if !w.state.CompareAndSwap(waiting, state) {
		return false
	}
	close(w.done)
	return true
}

// cancel ends it for whoever does not want to wait any longer.
func (w *waiter) cancel() { w.end(cancelled) }

// dissolve lets everybody go at the end.
func (h *holder) dissolve(now int64) {
	h.collect(now)
	for w := range h.line.All {
		w.cancel()
	}
}
