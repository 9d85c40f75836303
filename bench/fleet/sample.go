package fleet

import "time"

// Outcome is how a request ended.
type Outcome uint8

const (
	Completed Outcome = iota
	Rejected          // the gateway's line was full
	Failed            // the engine did not take it (too long), or broke off, or there was none
)

// Sample is what one request saw. Times are since the run began.
type Sample struct {
	Arrived time.Duration
	TTFT    time.Duration // from its arrival at the gateway
	TPOT    time.Duration // mean gap between its tokens; 0: it has one token
	E2E     time.Duration

	Prompt, Output, Cached int32 // tokens
	Believed               int32 // of the prompt, that the gateway thought to be cached
	Instance, Gateway, Key int32 // Instance -1: none
	Outcome                Outcome
	Warm                   bool // it came to fill caches
}

// meets says whether the sample keeps to an objective.
func (s *Sample) meets(o SLO) bool {
	return s.Outcome == Completed && s.TTFT <= o.TTFT && s.TPOT <= o.ITL
}

// Result is what a run gave.
type Result struct {
	Samples  []Sample        // in order of their ends
	Busy     []time.Duration // of each instance, in steps
	Starved  time.Duration   // of all instances: nothing to compute, though gateways held requests
	End      time.Duration   // of the last request
	Events   uint64
	Service  []Service
	Unserved float64 // the largest difference of service between two clients who both waited; see fairness
}

func (r *run) sample(c *call, o Outcome) *Sample {
	r.result.Samples = append(r.result.Samples, Sample{
		Arrived: c.arrived, E2E: r.now - c.arrived, Prompt: int32(c.Tokens), Cached: int32(c.cached), Believed: int32(c.believed),
		Instance: c.inst, Gateway: c.gateway, Key: int32(c.Key), Outcome: o, Warm: c.Warm,
	})
	r.live--
	r.moved = r.now
	r.result.End = r.now
	return &r.result.Samples[len(r.result.Samples)-1]
}

// complete is a request's good end.
func (r *run) complete(c *call) {
	s := r.sample(c, Completed)
	s.TTFT, s.Output = c.first-c.arrived, int32(c.Output)
	if c.Output > 1 {
		s.TPOT = (r.now - c.first) / time.Duration(c.Output-1)
	}
	r.over(c)
}

// reject is the gateway's refusal.
func (r *run) reject(c *call) {
	r.sample(c, Rejected)
	if r.fairness != nil {
		r.fairness.leave(c)
	}
	r.over(c)
}

// refuse is a request's end without an answer, or in the middle of one.
func (r *run) refuse(c *call) {
	c.place.End()
	r.sample(c, Failed)
	if r.fairness != nil {
		r.fairness.leave(c)
	}
	r.over(c)
}

// over lets the client of a closed loop go on.
func (r *run) over(c *call) {
	then := c.Then
	r.calls.done(c)
	if then == nil {
		return
	}
	if q := then(r.now); q != nil {
		r.later++
		r.plan(event{at: q.At, kind: arrives, call: &call{Request: q}})
	}
}

func (r *run) finish() *Result {
	res := r.result
	for i := range r.instances {
		res.Busy = append(res.Busy, r.instances[i].busy)
	}
	res.Events = r.turn
	if r.fairness != nil {
		res.Service, res.Unserved = r.fairness.result()
	}
	return res
}
