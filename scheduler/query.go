package scheduler

import (
	"slices"

	"penstock/scheduler/prefix"
)

// Query is what a decision needs to know of a request.
type Query struct {
	ID           string    // of the request, for who looks back; empty: nobody will
	Model        string    // empty: the client named none, any instance will do
	PromptTokens int       // an estimate
	MaxTokens    int       // output wanted at most; -1: not said
	Stream       bool      // the answer is wanted in pieces
	Opaque       bool      // its text does not tell how long it takes: images, audio, or it was taken from an instance that hung
	Session      uint64    // 0: none
	Key          int       // whose it is; 0: nobody's in particular
	Priority     int       // larger goes first
	Like         uint64    // requests of the same number have answers of like lengths: who asks, and for what
	Prefix       []uint64  // hashes of the prompt's blocks, each over all before it too (prefix.Chain); nil: not known. Not changed while it is held, or has a reservation
	BlockTokens  int       // prompt tokens of each of them
	Tried        Tried     // instances that had the request already
	Only         *Instance // no other can serve it; nil: any can
	Eager        bool      // it cannot wait for a better place than there is now

	Now     int64  // ns on the caller's clock
	Arrived int64  // when the client began to wait; 0: it is not said
	Rand    uint64 // chance for this decision
	Pending int64  // ns that it was held before
	Held    int64  // since when it is held now; 0: it is not

	noted int // tries of which a Full is recorded already
}

// untoldOutput is how many tokens an answer is thought to have at most whose
// length is not bounded by the client.
const untoldOutput = 4096

// promptBlocks is how many blocks of BlockBytes the prompt has.
func (q *Query) promptBlocks() int { return prefix.Units(q.Prefix, len(q.Prefix)) }

// wait is how the request counts among those without a byte.
func (q *Query) wait() wait {
	w := wait{tokens: int64(q.PromptTokens), opaque: q.Opaque}
	switch {
	case q.Stream:
	case q.MaxTokens < 0:
		w.answer = untoldOutput
	default:
		w.answer = max(int64(q.MaxTokens), 1)
	}
	return w
}

// maxTried is how many instances one request can have been tried on.
const maxTried = 8

// Tried is a small set of instances. The zero value is empty.
type Tried struct {
	instances [maxTried]*Instance
	n         int
}

// Add puts i in the set; beyond its size nothing happens.
func (t *Tried) Add(i *Instance) {
	if t.n < len(t.instances) {
		t.instances[t.n] = i
		t.n++
	}
}

// Len is how many are in the set.
func (t *Tried) Len() int { return t.n }

func (t *Tried) has(i *Instance) bool { return slices.Contains(t.instances[:t.n], i) }

// Verdict is the kind of a decision.
type Verdict uint8

const (
	// NoInstance: none that serves the model is alive.
	NoInstance Verdict = iota
	// NoModel: no instance serves it.
	NoModel
	// Full: it is better held than given away; Instance would be the choice.
	Full
	// Hopeless: no instance could give a first token within the SLO.
	Hopeless
	// Picked: Instance has it, and Reservation holds its place.
	Picked
)

// Decision is what became of a query. The caller of a Picked one must call
// Reservation.End exactly once.
type Decision struct {
	Verdict     Verdict
	Instance    *Instance
	Policy      string
	Reason      string // why this one, for people
	Degraded    string // signals that the policy had to do without, joined with commas; empty: none
	Reservation Reservation

	Saturated bool    // Full, because no instance takes anything now; else it waits for this one, and others may have another
	TTFT      float64 // seconds to the first token, as predicted, of Hopeless the least; 0: it was not
	fresh     float64 // prompt tokens that the instance has to compute
	output    float64 // tokens of the answer, as expected
}
