package dataplane

import (
	"cmp"
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
// line and goes along it whenever something changed.
type holder struct {
	sched    *scheduler.Scheduler
	stations func() []*station
	max      int64

	count   atomic.Int64 // held now
	tickets atomic.Uint64
	bell    ring.Bell

	orphans orphans // rings whose instances have left

	line *scheduler.Line[*waiter] // run's own
	new  []*waiter                // of the rings, run's own
}

// waiter is one held request, as the holder sees it. It has its own copy of
// the query: the request may be gone when the holder looks at it.
type waiter struct {
	query    scheduler.Query
	ticket   uint64
	deadline int64 // on the gateway's clock, 0: none
	station  *station
	state    atomic.Uint32
	decision scheduler.Decision // valid when bound
	done     chan struct{}      // closed when the state is final
}

const (
	waiting = iota
	bound   // decision says what became of it
	cancelled
)

// enter puts a request in the line; nil when the line is full.
func (h *holder) enter(q *scheduler.Query, st *station, deadline int64) *waiter {
	if h.count.Add(1) > h.max {
		h.count.Add(-1)
		return nil
	}
	w := &waiter{query: *q, ticket: h.tickets.Add(1), deadline: deadline, station: st, done: make(chan struct{})}
	w.query.ID, w.query.Model, w.query.Prefix = strings.Clone(q.ID), strings.Clone(q.Model), slices.Clone(q.Prefix)
	st.pending.Add(1)
	if !h.push(w) {
		h.leave(w)
		return nil
	}
	if st.gone.Load() { // it left the table before it was looked at
		h.adopt(st)
	}
	h.bell.Ring()
	return w
}

// push takes the ring of the request's own station, or any other's with room:
// which ring it was means nothing once it is in the line.
func (h *holder) push(w *waiter) bool {
	if w.station.ring.TryPush(w) {
		return true
	}
	for _, st := range h.stations() {
		if st.ring.TryPush(w) {
			return true
		}
	}
	return false
}

// leave is called once by whoever entered, when done with the waiter.
func (h *holder) leave(w *waiter) {
	w.station.pending.Add(-1)
	h.count.Add(-1)
}

// freed is the scheduler's hook: something may have got room.
func (h *holder) freed() {
	if h.count.Load() > 0 {
		h.bell.Ring()
	}
}

// run is the one consumer of all rings. now is the gateway's clock.
func (h *holder) run(stop <-chan struct{}, now func() int64, random func() uint64) {
	for {
		at := now()
		h.collect(at)
		h.serve(at, random)
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

// sift lets go of those where nobody waits: who comes there later adopts it
// himself. The caller holds mu.
func (o *orphans) sift() {
	o.list = slices.DeleteFunc(o.list, func(st *station) bool { return st.pending.Load() == 0 })
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

// serve goes along the line once.
func (h *holder) serve(now int64, random func() uint64) {
	h.line.Prune(func(w *waiter) bool {
		if w.deadline != 0 && now >= w.deadline {
			w.cancel()
		}
		return w.state.Load() != waiting
	})
	h.line.Serve(now, func(w *waiter) (scheduler.Decision, bool) { return h.place(w, now, random()) })
}

// place says whether w has left the line.
func (h *holder) place(w *waiter, now int64, chance uint64) (d scheduler.Decision, left bool) {
	if w.state.Load() != waiting {
		return d, true
	}
	w.query.Now, w.query.Rand = now, chance
	d = h.sched.Pick(&w.query)
	if d.Verdict == scheduler.Full {
		return d, false
	}
	w.decision = d
	if !w.state.CompareAndSwap(waiting, bound) {
		d.Reservation.End()
		return d, true
	}
	close(w.done)
	return d, true
}

// cancel ends the wait from outside: the client left, or its time is over.
func (w *waiter) cancel() {
	if w.state.CompareAndSwap(waiting, cancelled) {
		close(w.done)
	}
}

// dissolve lets everybody go at the end.
func (h *holder) dissolve(now int64) {
	h.collect(now)
	for w := range h.line.All {
		w.cancel()
	}
}
