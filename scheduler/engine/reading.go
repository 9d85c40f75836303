package engine

import (
	"strings"
	"time"
)

// Reading is what one scrape said. A value whose bit is not in Has is zero
// because the engine did not say it, not because it is zero.
//
// An engine with several data-parallel ranks is one instance: counts and
// capacities are summed over its ranks, usages are the highest.
type Reading struct {
	// At is when the page was asked for: what was sent to the engine later may
	// be missing from it.
	At time.Time
	// Took is what the scrape took on the wire, every request of it counted.
	Took time.Duration

	Kind    Kind   // never Auto
	Version string // as the engine says it, "" if it does not
	Lean    bool   // not from the full page: from the filtered one, or from the load document alone
	Has     Signals

	// Mapped is what the operator's own mapping of this engine names, and Lacks
	// says what of it the page does not have, in words; "": nothing.
	Mapped Signals
	Lacks  string

	Running float64 // requests in the running batch
	Waiting float64 // requests in the engine's queue, swapped ones included
	KVUsage float64 // 0..1; beyond, the engine says something else under this name

	KVCapacityTokens int64
	// MaxConcurrency is how many requests of the model's full context length fit
	// in the KV cache, so a lower bound of what the engine runs at once. Limit is
	// how many it runs at once at most. 0: not said.
	MaxConcurrency, Limit float64

	PromptTokens, GenerationTokens uint64 // since the engine's start

	// PrefixHits/PrefixQueries is the hit rate. The unit is tokens, but blocks
	// up to vLLM 0.8.5 and in TensorRT-LLM.
	PrefixQueries, PrefixHits uint64

	// Asleep: it has given its memory away and will answer no request until it
	// is woken. One rank asleep is enough.
	Asleep bool
}

// Signals is a set of the things that an engine may say.
type Signals uint16

const (
	HasRunning Signals = 1 << iota
	HasWaiting
	HasKVUsage
	HasTokens // at least one of the two token counters
	HasPrefix
	HasCapacity
	HasConcurrency
	HasSleep // says whether it is asleep
)

// signalNames are in the order of the bits; those that metrics carry as the
// label `signal` are spelled as there.
var signalNames = [...]string{"running", "waiting", "kv_usage", "tokens", "prefix", "capacity", "concurrency", "sleep"}

// Has reports whether all of want is in s.
func (s Signals) Has(want Signals) bool { return s&want == want }

// String lists the names, comma-separated: "running,waiting".
func (s Signals) String() string {
	var names []string
	for i, name := range signalNames {
		if s.Has(1 << i) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
