package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Kinds of faults.
const (
	faultHang   = "hang"   // accepts, answers /health, no token moves
	faultRefuse = "refuse" // refuses connections, closes idle ones; what is under way goes on
	faultReset  = "reset"  // resets every connection, and later ones when their request has come
	faultExit   = "exit"   // is gone, for good
	faultSlow   = "slow"   // steps take Factor times as long
	faultStatus = "status" // answers a Ratio of the requests with Code
	faultCut    = "cut"    // drops the connection after Tokens tokens of each answer
	faultStall  = "stall"  // answers stop after their first token, though the engine goes on

	faultAsleep  = "asleep"  // holds no weights: says so, and does nothing until it is healed
	faultScaling = "scaling" // its ranks change: 503 to everything
	faultLoading = "loading" // has just been started: 503, and no model yet

	faultMetricsGone    = "metrics_gone"    // 404 instead of the page
	faultMetricsFrozen  = "metrics_frozen"  // the page stays as it was
	faultMetricsRenamed = "metrics_renamed" // every series has another name, as after an upgrade
)

// Fault is one way to fail. An instance has at most one at a time.
type Fault struct {
	Kind   string
	For    time.Duration // 0: until it is healed
	Factor float64       // of slow; default 10
	Code   int           // of status; default 503
	Ratio  float64       // of status, 0..1; default 1
	Tokens int           // of cut; 0: before the first token
}

// faultParameters says which kind takes which, apart from "for".
var faultParameters = map[string][]string{
	faultHang: nil, faultRefuse: nil, faultReset: nil, faultExit: nil, faultStall: nil,
	faultAsleep: nil, faultScaling: nil, faultLoading: nil,
	faultMetricsGone: nil, faultMetricsFrozen: nil, faultMetricsRenamed: nil,
	faultSlow: {"factor"}, faultStatus: {"code", "ratio"}, faultCut: {"tokens"},
}

// FaultKinds are all kinds, for people.
const FaultKinds = "hang, refuse, reset, exit, slow, status, cut, stall, asleep, scaling, loading, metrics_gone, metrics_frozen or metrics_renamed"

// UnmarshalJSON reads {"kind": …, "for": "10s", …} and refuses what does not
// belong to the kind.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return fmt.Errorf("a fault: %w", err)
	}
	*f = Fault{Factor: 10, Code: 503, Ratio: 1}
	if json.Unmarshal(given["kind"], &f.Kind) != nil {
		return fmt.Errorf(`kind: want %s`, FaultKinds)
	}
	parameters, ok := faultParameters[f.Kind]
	if !ok {
		return fmt.Errorf("kind: unknown %q: want %s", f.Kind, FaultKinds)
	}
	for key, value := range given {
		if err := f.set(key, value, parameters); err != nil {
			return err
		}
	}
	return f.validate()
}

func (f *Fault) set(key string, value json.RawMessage, parameters []string) error {
	var to any
	switch key {
	case "kind":
		return nil
	case "for":
		return f.setFor(value)
	case "factor":
		to = &f.Factor
	case "code":
		to = &f.Code
	case "ratio":
		to = &f.Ratio
	case "tokens":
		to = &f.Tokens
	}
	if to == nil || !strings.Contains(strings.Join(parameters, " "), key) {
		return fmt.Errorf("%s: not known of the kind %q", key, f.Kind)
	}
	if json.Unmarshal(value, to) != nil {
		return fmt.Errorf("%s: %s is no number for it", key, value)
	}
	return nil
}

func (f *Fault) setFor(value json.RawMessage) (err error) {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return fmt.Errorf(`for: %s: want a duration such as "10s"`, value)
	}
	if f.For, err = time.ParseDuration(text); err != nil {
		return fmt.Errorf("for: %w", err)
	}
	return nil
}

func (f *Fault) validate() error {
	switch {
	case f.For < 0 || (f.For > 0 && f.Kind == faultExit):
		return fmt.Errorf("for: %v is no time for the kind %q", f.For, f.Kind)
	case !(f.Factor > 0 && f.Factor <= 1e6):
		return fmt.Errorf("factor: %v is not between 0 and 1000000", f.Factor)
	case f.Code < 400 || f.Code > 599:
		return fmt.Errorf("code: %d is not between 400 and 599", f.Code)
	case !(f.Ratio >= 0 && f.Ratio <= 1):
		return fmt.Errorf("ratio: %v is not between 0 and 1", f.Ratio)
	case f.Tokens < 0:
		return fmt.Errorf("tokens: %d is less than 0", f.Tokens)
	}
	return nil
}

// faultBox holds the fault of an instance. Any goroutine may use it.
type faultBox struct {
	mu         sync.Mutex
	fault      Fault
	generation int
	changed    chan struct{} // closed and replaced at every change
	timer      *time.Timer
}

func newFaultBox() faultBox { return faultBox{changed: make(chan struct{})} }

// get returns the fault, and what is closed when it changes.
func (b *faultBox) get() (Fault, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fault, b.changed
}

// is reports whether the fault is still the one of that generation.
func (b *faultBox) is(generation int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.generation == generation
}

// set replaces the fault; over is called when its time is.
func (b *faultBox) set(f Fault, over func(generation int)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopTimer()
	b.generation++
	b.fault = f
	close(b.changed)
	b.changed = make(chan struct{})
	if generation := b.generation; f.For > 0 {
		b.timer = time.AfterFunc(f.For, func() { over(generation) })
	}
}

func (b *faultBox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopTimer()
}

func (b *faultBox) stopTimer() {
	if b.timer != nil {
		b.timer.Stop()
		b.timer = nil
	}
}

// stops says whether the engine makes no step.
func (f Fault) stops() bool { return f.Kind == faultHang || f.Kind == faultAsleep }

// slowed is how long a step of d takes.
func (b *faultBox) slowed(d time.Duration) time.Duration {
	if f, _ := b.get(); f.Kind == faultSlow {
		return time.Duration(float64(d) * f.Factor)
	}
	return d
}
