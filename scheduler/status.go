package scheduler

import (
	"time"

	"penstock/scheduler/engine"
)

// Status is what people are shown of an instance.
type Status struct {
	State  State
	Reason string // of the state: a failure's name, or empty
	Engine engine.Kind
	Models []string

	Running, Waiting int     // as the engine last said
	KVUsage          float64 // 0..1
	KVCapacityTokens int
	InFlight         int // ours
	PrefillTokens    int // prompt tokens of ours that wait for their first token
	Requests         uint64
	Signals          []Signal
}

// Signal is one thing that the engine reports.
type Signal struct {
	Name  string
	Age   time.Duration // negative: never heard
	Alive bool          // believed
}

// signalsShown are the signals that decisions rest on, under their names.
var signalsShown = []struct {
	name string
	has  engine.Signals
}{
	{"running", engine.HasRunning}, {"waiting", engine.HasWaiting}, {"kv_usage", engine.HasKVUsage},
	{"tokens", engine.HasTokens}, {"prefix", engine.HasPrefix},
}

// Status reads the instance's account. It is for people: it allocates.
func (i *Instance) Status() Status {
	state, reason, _ := i.standing()
	live := engine.Signals(i.said.live.Load())
	s := Status{
		State: state, Reason: reason, Engine: *i.kind.Load(),
		InFlight: int(i.row.inFlight.Load()), PrefillTokens: int(i.row.prefill.Load()), Requests: i.picked.Load(),
	}
	if live != 0 {
		s.Running, s.Waiting = int(i.said.running.Load()), int(i.said.waiting.Load())
		s.KVUsage = float64(i.said.kvUsage.Load()) / 1e6
	}
	s.KVCapacityTokens = int(i.said.kvSize.Load())
	if models := i.models.Load(); models != nil {
		for _, m := range *models {
			s.Models = append(s.Models, m.ID)
		}
	}
	age := time.Duration(-1)
	if at := i.heardAt.Load(); at != 0 {
		age = max(time.Since(time.Unix(0, at)), 0)
	}
	for _, sig := range signalsShown {
		s.Signals = append(s.Signals, Signal{Name: sig.name, Age: age, Alive: live.Has(sig.has)})
	}
	return s
}
