package load

import (
	"time"

	"gonum.org/v1/plot/plotter"
)

// Report is what a run measured. Its JSON is INTERFACE.md's.
//
// Requests = Completed + Rejected + the sum of Errors. Tokens and latencies are
// those of completed requests, ITL excepted, which has every gap that was seen;
// tokens are the engine's counts where it says them, else events (output) and
// what was asked for (input).
//
// Of a workload, DurationS is from the first request that counts to the end of
// the last, and what is good is per second in which requests came (in a closed
// loop: per second to the end), as `penstock fleet` reports it. Of a run with a
// TimeScale, all times are in the engines' time.
type Report struct {
	Requests         int            `json:"requests"` // that ended
	Completed        int            `json:"completed"`
	Errors           map[string]int `json:"errors"`        // by class: a status, or a word
	Rejected         int            `json:"rejected"`      // 429
	DurationS        float64        `json:"duration_s"`    // to the end of the last request, and at least the Duration that was asked for
	RequestRate      float64        `json:"request_rate"`  // Requests per second of it
	InputTokens      int64          `json:"input_tokens"`  //
	OutputTokens     int64          `json:"output_tokens"` //
	OutputTokensPerS float64        `json:"output_tokens_per_s"`
	GoodputRPS       float64        `json:"goodput_rps"` // completed requests that met both objectives, per second
	TTFT             Latency        `json:"ttft_ms"`     // to the first output; without stream, to the whole answer
	TPOT             Latency        `json:"tpot_ms"`     // per token after the first, mean of each request
	ITL              Latency        `json:"itl_ms"`      // between two pieces of output
	E2E              Latency        `json:"e2e_ms"`      // to the last byte
	Instances        map[string]int `json:"instances"`   // requests of each, where the router said

	PrefixHitRate *float64 `json:"prefix_hit_rate,omitempty"` // share of prompt tokens that engines had cached, where they say it
	Lateness      *Latency `json:"lateness_ms,omitempty"`     // how much later than meant requests went out, except in a closed loop: the generator's own

	// For people only.
	Model    string            `json:"-"`
	Codes    map[string]int    `json:"-"` // of what was rejected
	Messages map[string]string `json:"-"` // one error of each class, and one with each code, in words
	Good     int               `json:"-"` // requests that met both objectives
	Late     int               `json:"-"` // arrivals that waited: MaxInFlight were in flight
	Cut      int               `json:"-"` // requests under way when the run was ended
	Warm     int               `json:"-"` // that came before, and do not count
	SLOTTFT  time.Duration     `json:"-"`
	SLOITL   time.Duration     `json:"-"`
	shares   []plotter.XYs     // of TTFT, TPOT, ITL and E2E
}

// result sums the run up.
func (r *run) result() Report {
	rec := r.record
	rec.mu.Lock()
	defer rec.mu.Unlock()
	took := max(r.took(), time.Microsecond).Seconds()
	per := func(n, seconds float64) float64 { return round(n/seconds, 3) }
	came := r.came(took)
	rep := Report{
		Requests: rec.requests, Completed: rec.completed, Errors: rec.errors, Rejected: rec.rejected,
		DurationS: round(took, 6), RequestRate: per(float64(rec.requests), came),
		InputTokens: rec.promptTokens, OutputTokens: rec.outputTokens, OutputTokensPerS: per(float64(rec.outputTokens), took),
		GoodputRPS: per(float64(rec.good), came),
		TTFT:       rec.ttft.latency(), TPOT: rec.tpot.latency(), ITL: rec.itl.latency(), E2E: rec.e2e.latency(),
		Instances: rec.instances,
		Model:     r.cfg.Model, Codes: rec.codes, Messages: rec.messages, Good: rec.good, Late: r.late, Cut: rec.cut, Warm: rec.warm,
		SLOTTFT: r.cfg.SLOTTFT, SLOITL: r.cfg.SLOITL,
	}
	for _, l := range []*latencies{&rec.ttft, &rec.tpot, &rec.itl, &rec.e2e} {
		rep.shares = append(rep.shares, l.share())
	}
	if rec.known > 0 {
		rate := round(float64(rec.cached)/float64(rec.known), 4)
		rep.PrefixHitRate = &rate
	}
	if r.cfg.Rate > 0 {
		late := rec.late.latency()
		rep.Lateness = &late
	}
	return rep
}

// came is the seconds that requests came in.
func (r *run) came(took float64) float64 {
	if w := r.cfg.Workload; w == nil || w.Closed || r.record.final <= r.record.first {
		return took
	}
	return (r.record.final - r.record.first).Seconds()
}

// took is the time that rates are of. One that was interrupted ends there: what
// was cut had its share of it.
func (r *run) took() time.Duration {
	switch {
	case r.cfg.Workload != nil:
		return r.record.last - r.record.first
	case r.ctx.Err() != nil:
		return r.clock.now()
	case r.record.requests == r.cfg.Requests: // all that were asked for
		return r.record.last
	}
	return max(r.record.last, r.cfg.Duration)
}
