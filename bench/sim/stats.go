package sim

import "net/http"

// Stats is what a test wants to know of an instance: GET /_sim/stats.
type Stats struct {
	Requests        int64   `json:"requests"` // for tokens or a vector, seen; refused ones too
	Aborted         int64   `json:"aborted"`  // of them, left by their client
	InFlight        int64   `json:"in_flight"`
	Running         int     `json:"running"` // sequences
	Waiting         int     `json:"waiting"`
	Finished        int64   `json:"finished"`
	PromptTokens    int64   `json:"prompt_tokens"`
	TokensGenerated int64   `json:"tokens_generated"`
	PrefixQueries   int64   `json:"prefix_queries"` // tokens
	PrefixHits      int64   `json:"prefix_hits"`
	Preemptions     int64   `json:"preemptions"`
	KVUsage         float64 `json:"kv_usage"` // 0..1
	Fault           string  `json:"fault"`    // its kind
}

// Stats is the instance's state now.
func (i *Instance) Stats() Stats {
	s := i.modelStats()
	f, _ := i.fault.get()
	return Stats{
		Requests: i.requests.Load(), Aborted: i.aborted.Load(), InFlight: i.inFlight.Load(),
		Running: s.Running, Waiting: s.Waiting, Finished: s.Finished,
		PromptTokens: s.PromptTokens, TokensGenerated: s.GeneratedTokens,
		PrefixQueries: s.PrefixQueries, PrefixHits: s.PrefixHits,
		Preemptions: s.Preemptions, KVUsage: s.KVUsage(), Fault: f.Kind,
	}
}

func (i *Instance) getStats(w http.ResponseWriter, _ *http.Request) { answer(w, i.Stats()) }
