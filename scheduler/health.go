package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// failuresInRow take an instance out, whatever they are. What a client did (it
// left, it sent nonsense) never comes here.
const failuresInRow = 3

// health is where an instance stands and what speaks against it.
type health struct {
	state atomic.Uint32
	waits atomic.Bool   // starting, and known not to be ready
	why   atomic.Uint32 // the Failure that it is out for
	inRow atomic.Int32  // failures since the last success

	mu      sync.Mutex // over changes of the above, and over the rest
	reason  string     // of the state, for people
	flaps   int        // ejections since the last success
	history []Change   // the latest, oldest first
	counts  [states]uint64
	gone    bool // the instance has left: it counts in nobody's numbers
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

// Hung says that the instance is out because nothing moves in it.
func (i *Instance) Hung() bool {
	return State(i.health.state.Load()) == Ejected && Failure(i.health.why.Load()) == Hung
}

// routable says whether the instance may get a request.
func (i *Instance) routable() bool {
	switch i.State() {
	case Healthy, Suspect:
		return true
	case Starting:
		return !i.health.waits.Load()
	}
	return false
}

// Succeeded notes that the instance answered a request whole.
func (i *Instance) Succeeded() {
	h := &i.health
	if h.inRow.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inRow.Store(0)
	h.flaps = 0
	if State(h.state.Load()) == Suspect {
		i.become(Healthy, "")
	}
}

// Failed notes what the instance did to a request. A refused or reset
// connection takes it out at once, others when they repeat; a probe follows at
// once, and brings it back if it can.
func (i *Instance) Failed(f Failure) { i.fault(f, f.String()) }

// fault is Failed with the evidence in words.
func (i *Instance) fault(f Failure, evidence string) {
	h := &i.health
	i.failed[f].Inc()
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
	case f.fatal(), f == Probe, f == Hung, int(n) >= i.fleet.threshold():
		i.eject(f, evidence)
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
	i.ejected[f].Inc()
	i.health.flaps++
	i.health.why.Store(uint32(f))
	i.doubt() // what it said before it went means nothing when it is back
	i.become(Ejected, evidence)
}

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
	if State(h.state.Load()) == Starting && h.reason != reason {
		h.reason = reason
		i.log.Info("instance is starting", "reason", reason)
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
}

// become changes the state and says so once. The caller holds health.mu.
func (i *Instance) become(s State, reason string) {
	h := &i.health
	old := State(h.state.Load())
	if old == s {
		return
	}
	if old == Ejected && !h.gone {
		i.fleet.out.Add(-1)
	}
	if s == Ejected && !h.gone { // a request that is late may fail after it left
		i.fleet.out.Add(1)
	}
	h.state.Store(uint32(s))
	h.reason = reason
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
	i.log.Log(context.Background(), level, words, "was", old, "reason", reason)
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
		return s, i.drainReason(), i.health.flaps
	}
	return s, i.health.reason, i.health.flaps
}

// transitions are the changes of state so far, by what it became.
func (i *Instance) transitions() [states]uint64 {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	return i.health.counts
}
