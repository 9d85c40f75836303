package scheduler

import (
	"fmt"
	"strings"

	"penstock/scheduler/engine"
	"penstock/scheduler/predict"
	"penstock/scheduler/record"
)

// Replay asks a policy about decisions that were recorded. Each is asked about
// as it was: what the policy's other choice would have led to is not known.
type Replay struct {
	policy    policy
	instances map[string]*Instance
	from      []candidate
	of        []int // where each stands in the record
	prompt    []uint64
	turn      uint64
}

// Choice is what the policy would have done.
type Choice struct {
	Candidate int // of the record
	Reason    string
	Holds     bool // it would have held the request for that one
}

// mostReplayed bounds the instances that are kept, for files that name ever more.
const mostReplayed = 4096

// NewReplay makes one for the policy of that name.
func NewReplay(name string) (*Replay, error) {
	p, ok := policyNamed(name)
	if !ok {
		return nil, fmt.Errorf("policy: %q is none of %s", name, strings.Join(Policies(), ", "))
	}
	return &Replay{policy: p, instances: make(map[string]*Instance)}, nil
}

// Choose asks about a decision; false: the record does not have what the policy
// reads.
func (r *Replay) Choose(d *record.Decision) (c Choice, ok bool) {
	if len(d.Candidates) == 0 || r.policy.outlook && !d.Predicted() {
		return c, false
	}
	r.load(d)
	q := r.query(d)
	r.turn++
	n, reason := r.policy.choose(q, r.turn, r.from)
	c = Choice{Candidate: r.of[n], Reason: reason}
	c.Holds = r.policy.waits && !d.Candidates[c.Candidate].Ready
	return c, true
}

// load makes candidates of the recorded ones. Who takes nothing now was there
// only for a policy that may wait for him.
func (r *Replay) load(d *record.Decision) {
	r.from, r.of = r.from[:0], r.of[:0]
	for _, full := range []bool{false, true} {
		for n := range d.Candidates {
			if c := &d.Candidates[n]; c.Full == full {
				r.from, r.of = append(r.from, r.candidate(c)), append(r.of, n)
			}
		}
		if len(r.from) > 0 && !r.policy.waits {
			return
		}
	}
}

func (r *Replay) query(d *record.Decision) *Query {
	n := int(d.Blocks)
	if cap(r.prompt) < n {
		r.prompt = make([]uint64, n)
	}
	q := &Query{
		PromptTokens: int(d.Prompt), BlockTokens: int(d.BlockTokens), MaxTokens: int(d.Max), Stream: d.Stream,
		Session: uint64(d.Session), Priority: int(d.Priority), Prefix: r.prompt[:n], Rand: uint64(d.Chance),
	}
	if n > 0 {
		q.Prefix[min(1, n-1)] = uint64(d.PromptHash)
	}
	return q
}

func (r *Replay) candidate(c *record.Candidate) candidate {
	i := r.instance(c.Instance)
	var live engine.Signals
	for n, age := range c.Ages {
		if age >= 0 {
			live |= signalSources[n].has
		}
	}
	rates := predict.Typical
	rates.Token = float64(c.Token) / 1e6
	i.begin(&rates)
	i.said.live.Store(uint32(live))
	i.said.kvUsage.Store(int64(c.KVUsage * 1e6))
	i.said.kvSize.Store(int64(c.KVTokens))
	i.row.inFlight.Store(int64(c.InFlight))
	i.row.streams.Store(int64(c.Streams))
	i.row.work.kept.Store(int64(c.Keep))
	i.row.work.fresh.Store(int64(c.Compute))
	i.row.work.held.Store(int64(c.Backlog) - int64(c.Compute))
	s := func(ms float32) float64 { return float64(ms) / 1e3 }
	return candidate{
		inst: i, blocks: c.Hits, cached: c.Cached, full: c.Full, scene: scene{ahead: float64(c.Ahead)},
		load: load{
			requests: int64(c.InFlight) + int64(c.Foreign), waiting: int64(c.Waiting), foreign: int64(c.Foreign), tokens: int64(c.Tokens),
		},
		outlook: outlook{
			fresh: float64(c.Fresh), wait: s(c.Wait), short: s(c.Short), ttft: s(c.TTFT), cost: s(c.Cost),
		},
	}
}

func (r *Replay) instance(name string) *Instance {
	if i := r.instances[name]; i != nil {
		return i
	}
	if len(r.instances) >= mostReplayed {
		clear(r.instances)
	}
	i := &Instance{Name: name}
	i.ring = newRing(name)
	r.instances[name] = i
	return i
}
