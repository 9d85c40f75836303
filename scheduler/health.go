package scheduler

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// failuresInRow take an instance out, whatever they are. What a client did (it
// left, it sent nonsense) never comes here.
const failuresInRow = 3

// So many answers 500 in a row take it out, if they come for so long.
const (
	errorsInRow = 5
	errorsFor   = time.Second
)

// health is where an instance stands and what speaks against it.
type health struct {
	state atomic.Uint32
	waits atomic.Bool   // starting, and known not to be ready
	why   atomic.Uint32 // the Failure that it is out for
	stuck atomic.Bool   // nothing moves in it: what it has of ours it keeps
	dark  atomic.Bool   // nothing reaches it
	inRow atomic.Int32  // failures since the last success
	errs  atomic.Int32  // answers 500 since then

	mu       sync.Mutex // over changes of the above, and over the rest
	reason   string     // of the state, for people
	since    time.Time  // when it came to its state
	told     time.Time  // when it was last said why it starts
	flaps    int        // ejections since it last had its whole share
	errSince time.Time  // when the first of errs came
	errMoved uint64     // row.moved then
	history  []Change   // the latest, oldest first
	counts   [states]uint64
	gone     bool // the instance has left: it counts in nobody's numbers

	counted, countedOut bool // in fleet.size, in fleet.out
}

// Change is one change of an instance's state.
type Change struct {
	Time     time.Time
	From, To State
	Reason   string
}

// mostChanges is how many changes are remembered of an instance.
const mostChanges = 16

// State is where the instance stands.
func (i *Instance) State() State {
	if i.draining.Load() != 0 {
		return Draining
	}
	return State(i.health.state.Load())
}

// hung says that the instance is out because nothing moves in it.
func (i *Instance) hung() bool {
	return State(i.health.state.Load()) == Ejected && Failure(i.health.why.Load()) == Hung
}

// Stuck says that the instance is out, whatever for, and that nothing moves in
// it: a request that it has not answered a byte of is better elsewhere.
func (i *Instance) Stuck() bool {
	return (i.health.stuck.Load() || i.health.dark.Load()) && !i.attended()
}

// attended says whether the instance's load and models matter: whether it is
// in, or drains.
func (i *Instance) attended() bool {
	switch State(i.health.state.Load()) {
	case Healthy, Suspect:
		return true
	case Starting:
		return !i.health.waits.Load()
	}
	return false
}

// routable says whether the instance may get a request.
func (i *Instance) routable() bool {
	return i.draining.Load() == 0 && i.attended()
}

// Succeeded notes that the instance answered a request whole.
func (i *Instance) Succeeded() {
	h := &i.health
	if h.inRow.Load() == 0 && h.errs.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inRow.Store(0)
	h.errs.Store(0)
	if State(h.state.Load()) == Suspect {
		i.become(Healthy, "")
	}
}

// Errored notes that the instance answered a request with a 500. That may be
// the request's own fault: only where it answers nothing else, and nobody's
// answer goes on, does it speak against the instance.
func (i *Instance) Errored() {
	h := &i.health
	i.failed[BadStatus].Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	n, moved, now := h.errs.Add(1), i.row.moved.Load(), time.Now()
	if n == 1 || moved-h.errMoved > 4*uint64(n) { // each has moved it itself, a few times
		h.errs.Store(1)
		h.errSince, h.errMoved = now, moved
		return
	}
	if n < errorsInRow || now.Sub(h.errSince) < errorsFor || i.fleet.panicking() || !i.attended() {
		return
	}
	h.errs.Store(0)
	i.eject(BadStatus, fmt.Sprintf("it answered 500 to %d requests in a row", n))
	i.wake()
}

// Failed notes what the instance did to a request, with the evidence in words
// ("" says no more than f). A refused or reset connection takes it out at once,
// others when they repeat.
func (i *Instance) Failed(f Failure, evidence string) { i.fault(f, cmp.Or(evidence, f.String())) }

// settled forgives the ejections of before: it has had its whole share, and
// stayed.
func (i *Instance) settled() {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	i.health.flaps = 0
}

// fault is Failed with the evidence in words.
func (i *Instance) fault(f Failure, evidence string) {
	h := &i.health
	i.failed[f].Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.inRow.Add(1)
	switch state := State(h.state.Load()); {
	case state == Ejected:
		return
	case state == Starting:
		if f.fatal() {
			i.wait(evidence)
		}
	case f.fatal(), f == Probe, f == Hung:
		i.eject(f, evidence)
	case int(n) >= i.fleet.threshold():
		i.eject(f, fmt.Sprintf("%d requests failed in a row: %s", n, evidence))
	case state != Suspect:
		i.become(Suspect, evidence)
	}
	i.wake()
}

// threshold is how many failures in a row take an instance out.
func (f *fleet) threshold() int {
	if f.panicking() {
		return failuresInRow * panicFactor
	}
	return failuresInRow
}

// eject takes the instance out. The caller holds health.mu.
func (i *Instance) eject(f Failure, evidence string) {
	i.ejected[f].Add(1)
	i.health.flaps++
	i.health.why.Store(uint32(f))
	i.doubt()                           // what it said before it went means nothing when it is back
	if f == Refused && !i.health.gone { // the process has gone, and its cache, which was given to another if it left
		i.lost()
	}
	i.become(Ejected, evidence)
}

// Doubt has the instance looked at, and others preferred until then.
func (i *Instance) Doubt(reason string) { i.suspect(reason) }

// suspect doubts an instance that was well, and has it looked at.
func (i *Instance) suspect(reason string) {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	if State(i.health.state.Load()) == Healthy {
		i.become(Suspect, reason)
	}
	i.wake()
}

// rest makes the instance one that starts: it says itself that it is not ready.
// That is no failure.
func (i *Instance) rest(reason string) {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	i.wait(reason)
}

// wait is rest for who holds health.mu.
func (i *Instance) wait(reason string) {
	h := &i.health
	h.waits.Store(true)
	i.count()
	if State(h.state.Load()) == Starting && h.reason != reason {
		h.reason = reason
		if now := time.Now(); now.Sub(h.told) > time.Second { // a refused probe and a refused reading take turns
			h.told = now
			i.log.Info("instance is starting", "reason", reason)
		}
		return
	}
	i.become(Starting, reason)
}

// recovered is the keeper's word that a probe went well.
func (i *Instance) recovered() {
	h := &i.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch State(h.state.Load()) {
	case Ejected:
		i.ramp.begin()
		i.become(Healthy, "")
	case Starting, Suspect:
		i.become(Healthy, "")
	}
	h.waits.Store(false)
	h.dark.Store(false)
	i.count()
}

// count keeps fleet.size and fleet.out right: who drains, or says that it is
// not ready, could not be asked for work anyway. The caller holds health.mu.
func (i *Instance) count() {
	h := &i.health
	state := State(h.state.Load())
	in := !h.gone && i.draining.Load() == 0 && !(state == Starting && h.waits.Load())
	i.fleet.size.Add(change(&h.counted, in))
	i.fleet.out.Add(change(&h.countedOut, in && state == Ejected))
}

// change sets b and returns by how much a count of such changes.
func change(b *bool, to bool) int64 {
	was := *b
	*b = to
	switch {
	case to && !was:
		return 1
	case was && !to:
		return -1
	}
	return 0
}

// become changes the state and says so once. The caller holds health.mu.
func (i *Instance) become(s State, reason string) {
	h := &i.health
	old := State(h.state.Load())
	if old == s {
		return
	}
	h.state.Store(uint32(s))
	since := h.since
	h.since = time.Now()
	i.count()
	h.reason = reason
	if i.draining.Load() != 0 { // that is what it is, whatever else; lifting it says the rest
		i.log.Debug("instance would be "+s.String(), "was", old, "reason", reason)
		return
	}
	h.record(old, s, reason)
	level := slog.LevelInfo
	switch {
	case s == Ejected:
		level = slog.LevelWarn
	case s == Suspect, old == Suspect: // a probe settles that within milliseconds
		level = slog.LevelDebug
	}
	words := "instance is " + s.String()
	if s == Ejected {
		words = "instance is out"
	}
	i.log.Log(context.Background(), level, words, "was", old, "after", h.since.Sub(since).Round(time.Millisecond), "reason", reason)
	i.free()
}

// record remembers a change. The caller holds mu.
func (h *health) record(from, to State, reason string) {
	h.counts[to]++
	if len(h.history) == mostChanges {
		h.history = append(h.history[:0], h.history[1:]...)
	}
	h.history = append(h.history, Change{Time: time.Now(), From: from, To: to, Reason: reason})
}

// standing is the state with its reason and how often it was ejected in a row.
func (i *Instance) standing() (s State, reason string, flaps int) {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	if s = i.State(); s == Draining {
		reason = i.drainReason()
		if State(i.health.state.Load()) == Ejected {
			reason += "; it is out as well: " + i.health.reason
		}
		return s, reason, i.health.flaps
	}
	return s, i.health.reason, i.health.flaps
}

// transitions are the changes of state so far, by what it became.
func (i *Instance) transitions() [states]uint64 {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	return i.health.counts
}
