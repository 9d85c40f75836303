package scheduler

import "slices"

// Query is what a decision needs to know of a request.
type Query struct {
	Model        string    // empty: the client named none, any instance will do
	PromptTokens int       // an estimate
	MaxTokens    int       // output wanted at most; -1: not said
	Stream       bool      // the answer is wanted in pieces
	Opaque       bool      // its text does not tell how long it takes: images, audio, or it was taken from an instance that hung
	Session      uint64    // 0: none
	Prefix       []uint64  // hashes of the prompt's blocks, each over all before it too; nil: not known
	Tried        Tried     // instances that had the request already
	Only         *Instance // no other can serve it; nil: any can

	Now  int64  // ns on the caller's clock
	Rand uint64 // chance for this decision
}

// untoldOutput is how many tokens an answer is thought to have at most whose
// length is not bounded by the client.
const untoldOutput = 4096

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
	// Full: every instance that could serve it is; Instance would be the choice.
	Full
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
}
