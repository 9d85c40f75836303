package scheduler

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"penstock/scheduler/engine"
)

// Status is what people are shown of an instance.
type Status struct {
	State   State
	Reason  string // of the state, in words; empty: none is needed
	Engine  engine.Kind
	Version string // of the engine; empty: not heard
	Models  []string
	Changes []Change // of the state, the latest, oldest first

	Known            engine.Signals // of the three that follow, those that are believed: the rest is 0 and means nothing
	Running, Waiting int            // as the engine last said
	KVUsage          float64        // 0..1
	KVCapacityTokens int
	InFlight         int // ours
	Sockets          int // of them, WebSockets that pass through
	PrefillTokens    int // prompt tokens of ours that wait for their first token
	Requests         uint64
	Signals          []Signal
}

// Signal is one thing that is known of an instance.
type Signal struct {
	Name    string
	Source  string        // where it comes from: "metrics", "kernel", or "account" for what this gateway counts itself
	Age     time.Duration // negative: never heard
	Alive   bool          // believed
	Why     string        // it is not
	Changed bool          // it had another value once

	told bool // that it is not believed
}

// Status reads the instance's account. It is for people: it allocates.
func (i *Instance) Status() Status {
	state, reason, _ := i.standing()
	s := Status{
		State: state, Reason: reason, Engine: *i.kind.Load(),
		Known: i.live() & (engine.HasRunning | engine.HasWaiting | engine.HasKVUsage), InFlight: int(i.row.inFlight.Load()), Sockets: int(i.row.sockets.Load()), PrefillTokens: int(i.row.prefill.Load()), Requests: i.row.sent.Load(),
	}
	if s.Known.Has(engine.HasRunning) {
		s.Running = int(i.said.running.Load())
	}
	if s.Known.Has(engine.HasWaiting) {
		s.Waiting = int(i.said.waiting.Load())
	}
	if s.Known.Has(engine.HasKVUsage) {
		s.KVUsage = float64(i.said.kvUsage.Load()) / 1e6
	}
	if v := i.version.Load(); v != nil {
		s.Version = *v
	}
	i.health.mu.Lock()
	s.Changes = slices.Clone(i.health.history)
	i.health.mu.Unlock()
	s.KVCapacityTokens = int(i.said.kvSize.Load())
	if models := i.models.Load(); models != nil {
		for _, m := range *models {
			s.Models = append(s.Models, m.ID)
		}
	}
	s.Signals = i.tellSignals(time.Now())
	s.Reason = cmp.Or(s.Reason, i.tellDead(s.Signals))
	return s
}

func (i *Instance) tellSignals(now time.Time) (told []Signal) {
	for n := range i.signals {
		sig, death := &i.signals[n], i.signals[n].death.Load()
		t := Signal{
			Name: signalSources[n].name, Source: "metrics", Age: sig.age(now), Alive: death == alive,
			Why: deaths[death], Changed: sig.changed.Load(), told: sig.told.Load(),
		}
		if t.Age < 0 && death == unread {
			t.Why = "not heard yet"
		}
		switch {
		case n == sigProgress:
			t.Source, t.Age, t.Changed = "account", 0, i.row.moved.Load() > 0
		case n == sigKernel:
			t.Source = "kernel"
			if c, ok := i.Wire(); ok {
				t.Age, t.Changed = 0, c.Total > 0
			}
		}
		told = append(told, t)
	}
	return told
}

// tellDead says in a line which signals died, those that the log has named, and
// what speaks against them.
func (i *Instance) tellDead(signals []Signal) string {
	var dead []string
	for _, s := range signals {
		if s.told && !s.Alive {
			dead = append(dead, s.Name+" "+s.Why)
		}
	}
	evidence := i.evidence.Load()
	switch {
	case dead == nil && evidence == nil:
		return ""
	case dead == nil:
		return *evidence
	}
	told := "signals not believed: " + strings.Join(dead, ", ")
	if evidence != nil {
		told += "; " + *evidence
	}
	return told
}
