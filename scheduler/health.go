package scheduler

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
)

// failuresInRow take an instance out, whatever they are. What a client did (it
// left, it sent nonsense) never comes here.
const failuresInRow = 3

// health is where an instance stands and what speaks against it.
type health struct {
	state atomic.Uint32
	inRow atomic.Int32 // failures since the last success

	mu     sync.Mutex // over changes of the above, and over the rest
	reason string     // of the state, for people
	flaps  int        // ejections since the last success
}

// State is where the instance stands.
func (i *Instance) State() State { return State(i.health.state.Load()) }

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
	if i.State() == Suspect {
		i.become(Healthy, "")
	}
}

// Failed notes what the instance did to a request. A refused or reset
// connection takes it out at once, others when they repeat; a probe follows at
// once, and brings it back if it can.
func (i *Instance) Failed(f Failure) {
	h := &i.health
	i.failed[f].Inc()
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.inRow.Add(1)
	switch state := i.State(); {
	case state == Ejected, state == Draining:
		return
	case f.fatal(), f == Probe, n >= failuresInRow:
		i.eject(f)
	case state != Suspect:
		i.become(Suspect, f.String())
	}
	i.wake()
}

// eject takes the instance out. The caller holds health.mu.
func (i *Instance) eject(f Failure) {
	i.ejected[f].Inc()
	i.health.flaps++
	i.said.live.Store(0) // what it said before it went means nothing when it is back
	i.become(Ejected, f.String())
}

// recovered is the keeper's word that a probe went well.
func (i *Instance) recovered() {
	h := &i.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch i.State() {
	case Ejected:
		i.ramp.begin()
		i.become(Healthy, "")
	case Starting, Suspect:
		i.become(Healthy, "")
	}
}

// become changes the state and says so once. The caller holds health.mu.
func (i *Instance) become(s State, reason string) {
	old := i.State()
	if old == s {
		return
	}
	i.health.state.Store(uint32(s))
	i.health.reason = reason
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

// standing is the state with its reason and how often it was ejected in a row.
func (i *Instance) standing() (s State, reason string, flaps int) {
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	return i.State(), i.health.reason, i.health.flaps
}
