package predict

import (
	"math"
	"slices"
	"sync/atomic"
)

// Errors is how wrong predictions of one kind were, beside a guess that knows
// nothing but the usual. Any goroutine may note one; two at once may lose one.
type Errors struct {
	ours, blind atomic.Uint64 // mean of |ln(seen/expected)|, forgetting
	usual       atomic.Uint64 // mean of ln(seen), forgetting
	n           atomic.Int64
}

// errorsRemembered is how many the means go back.
const errorsRemembered = 256

// trialFor is how many predictions nobody judges.
const trialFor = 64

// Note takes in one prediction and what came of it, in seconds.
func (e *Errors) Note(expected, seen float64) {
	if !usable(seen) || !usable(expected) {
		return
	}
	n := float64(min(e.n.Add(1), errorsRemembered))
	l := math.Log(seen)
	usual := load(&e.usual)
	if n == 1 {
		usual = l
	}
	move(&e.ours, math.Abs(l-math.Log(expected)), n)
	move(&e.blind, math.Abs(l-usual), n)
	move(&e.usual, l, n)
}

func load(a *atomic.Uint64) float64 { return math.Float64frombits(a.Load()) }

func move(a *atomic.Uint64, v, n float64) {
	old := load(a)
	a.Store(math.Float64bits(old + (v-old)/n))
}

// Ratio is by which factor predictions are usually off: 1 is perfect; 0: there
// were none.
func (e *Errors) Ratio() float64 {
	if e.n.Load() == 0 {
		return 0
	}
	return math.Exp(load(&e.ours))
}

// Bad says that who predicts knows less than who always says the usual, and is
// off by a factor that matters.
func (e *Errors) Bad() bool {
	return e.n.Load() >= trialFor && load(&e.ours) > max(load(&e.blind), math.Ln2)
}

// middle is the median; it sorts the values.
func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
