package scheduler

import (
	"math"
	"slices"
	"sync"
	"time"

	"penstock/scheduler/prefix"
)

// scratch is the memory of one decision.
type scratch struct {
	usable    []candidate // could take it now
	returning []candidate // could, but have their whole share not yet
	spare     []candidate // could, but others are better: suspect, starting, returning with their share
	full      []candidate
	last      []candidate // out, in a panic

	from []candidate // that the last choice was among
	keep []int32     // of them, who is recorded

	slots []prefix.Slot
	found []int32
	chain []uint64
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// reservations bounds how often a decision is made anew because another took
// the place in the meantime.
const reservations = 4

// Pick decides which instance gets the request. A Picked decision holds a
// place there, which the caller gives back by Reservation.End.
func (s *Scheduler) Pick(q *Query) Decision {
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	d := s.pick(q, sc)
	s.note(q, &d, sc)
	return d
}

func (s *Scheduler) pick(q *Query, sc *scratch) Decision {
	turn := s.turn.Add(1)
	for range reservations {
		snap := s.snapshot.Load()
		serving, known := snap.serving(q.Model, q.PromptTokens)
		sc.sort(serving, q, s.requestTokens())
		from, now := sc.usable, len(sc.usable)
		switch {
		case len(from) > 0:
			if s.waits(q) {
				from = append(from, sc.full...)
				sc.usable = from
			}
		case len(sc.spare) > 0:
			from = sc.spare
		case len(sc.full) > 0:
			d, _ := s.choose(q, turn, sc, sc.full)
			d.Verdict, d.Saturated = Full, true
			return d
		case len(sc.last) > 0:
			from = sc.last
		case s.snapshot.Load() != snap: // all that there were leave: others came
			continue
		case known:
			return Decision{Verdict: NoInstance, Policy: s.policy.name}
		default:
			return Decision{Verdict: NoModel, Policy: s.policy.name}
		}
		d, c := s.choose(q, turn, sc, from)
		if soonest := s.hopeless(q, from); soonest > 0 {
			return Decision{Verdict: Hopeless, Policy: s.policy.name, TTFT: soonest}
		}
		if s.waits(q) && !c.ready() {
			if !c.overdue(q) {
				d.Verdict = Full
				d.Saturated = s.saturated(from)
				return d
			}
			if c.full && now > 0 { // that could be for ever
				d, c = s.choose(q, turn, sc, from[:now])
			}
		}
		var ok bool
		if d.Reservation, ok = s.reserve(sc, c, q); ok {
			d.Verdict = Picked
			return d
		}
	}
	return Decision{Verdict: Full, Saturated: true, Instance: sc.any(), Policy: s.policy.name}
}

// Elsewhere says whether another instance than i could be given the request,
// though it may have to wait there.
func (s *Scheduler) Elsewhere(q *Query, i *Instance) bool {
	serving, _ := s.snapshot.Load().serving(q.Model, q.PromptTokens)
	return slices.ContainsFunc(serving, func(o *Instance) bool {
		return o != i && !q.Tried.has(o) && (q.Only == nil || q.Only == o) && (o.routable() || o.lastResort())
	})
}

// waits says whether the request may be held for a better place.
func (s *Scheduler) waits(q *Query) bool {
	return s.policy.waits && s.cfg.Late && !q.Eager && !s.ttftErrors.Bad()
}

// saturated says whether a usual request would wait for each of them too.
func (s *Scheduler) saturated(from []candidate) bool {
	others := s.usual()
	return !slices.ContainsFunc(from, func(c candidate) bool { return c.roomy(others) })
}

// hopeless is the least time to a first token, in seconds, if that is too long
// for what was promised; else 0. A request that an instance had already is not
// given up, nor one for which an instance has idled for long: who never tries
// never learns that it is quick again.
func (s *Scheduler) hopeless(q *Query, from []candidate) float64 {
	left := int64(s.cfg.SLO.TTFT) - (q.Now - q.Arrived)
	if s.cfg.SLO.TTFT == 0 || q.Arrived == 0 || q.Tried.Len() > 0 || !s.policy.outlook || s.ttftErrors.Bad() {
		return 0
	}
	_, first := cheapest(0, from)
	soonest := from[first].ttft
	idle := func(c candidate) bool {
		return c.load.requests == 0 && !c.full && q.Now-c.inst.row.given.Load() > int64(freshFor)
	}
	if soonest <= seconds(left) || slices.ContainsFunc(from, idle) {
		return 0
	}
	if more := s.alone(from); more > 0 && soonest <= seconds(left)+more && s.leavesRoom(from) {
		return 0
	}
	return soonest
}

// leavesRoom says whether another than whoever gets the request could still begin
// a usual one in time: who is late in any case does not make all others late.
func (s *Scheduler) leavesRoom(from []candidate) bool {
	promised, usual, rooms := s.cfg.SLO.TTFT.Seconds(), s.usual().fresh, 0
	for n := range from {
		if c := &from[n]; c.head+c.wait+usual*c.inst.rates.Load().Token <= promised {
			rooms++
		}
	}
	return rooms >= min(2, len(from))
}

// alone is how long the request's first token would take at least, in seconds, of
// instances that had nothing else to do, if that is more than was promised; else 0.
// So much more time it has: else it would be refused for ever, by idle instances
// too, and a long conversation never got into a cache.
func (s *Scheduler) alone(from []candidate) float64 {
	least := math.Inf(1)
	for n := range from {
		least = atMost(from[n].inst.rates.Load().Overhead+from[n].busy, least)
	}
	if len(from) == 0 || least <= s.cfg.SLO.TTFT.Seconds() {
		return 0
	}
	return least
}

// Alone is how much more time than slo.ttft the request has to its first token,
// because computing its prompt alone takes longer than that.
func (s *Scheduler) Alone(q *Query) time.Duration {
	if s.cfg.SLO.TTFT == 0 || !s.policy.outlook || s.ttftErrors.Bad() {
		return 0
	}
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	serving, _ := s.snapshot.Load().serving(q.Model, q.PromptTokens)
	sc.sort(serving, q, s.requestTokens())
	sc.usable = append(sc.usable, sc.full...)
	s.hits(sc, q, sc.usable)
	s.foresee(q, float64(s.expected(q)), sc.usable)
	return time.Duration(s.alone(sc.usable) * float64(time.Second))
}

// choose asks the policy, which is told what it reads; of the choice, everything
// is told.
func (s *Scheduler) choose(q *Query, turn uint64, sc *scratch, from []candidate) (Decision, *candidate) {
	p, output, whole := &s.policy, float64(s.expected(q)), s.records.Whole()
	sc.from = from
	if p.hits || p.outlook || whole {
		s.hits(sc, q, from)
	}
	if p.outlook || whole {
		s.foresee(q, output, from)
	}
	n, reason, blind := 0, "", p.outlook && s.ttftErrors.Bad()
	if blind { // until its predictions are good again, which go on
		n, reason = leastToken.choose(q, turn, from)
	} else {
		n, reason = p.choose(q, turn, from)
	}
	c := &from[n]
	if !p.hits && !whole {
		s.hits(sc, q, from[n:n+1])
	}
	if !p.outlook && !whole {
		s.foresee(q, output, from[n:n+1])
	}
	d := Decision{Instance: c.inst, Policy: p.name, Reason: reason, TTFT: c.ttft, fresh: c.fresh, output: output}
	if blind {
		d.Degraded = "prediction"
		s.misled.Inc()
		return d, c
	}
	if len(from) == 1 {
		d.Reason = "the only one that can"
	}
	if set := c.inst.missing(p.signals); set != 0 {
		d.Degraded = missingNames[set]
		for _, n := range p.signals {
			if set&(1<<n) != 0 {
				s.degraded[n].Inc()
			}
		}
	}
	return d, c
}

// usual is what requests are like of which nothing else is known.
func (s *Scheduler) usual() usual {
	output := s.output.Usual(firstOutput)
	return usual{fresh: float64(s.prompt.value()), output: output, rate: 1 / max(output, 1)}
}

func (s *Scheduler) foresee(q *Query, output float64, from []candidate) {
	v := viewOf(q, output, s.patience, s.usual())
	v.heard, v.given = hear(from), s.given.Load()
	for n := range from { // by itself: what follows waits for a division otherwise
		from[n].believe(&v)
	}
	for n := range from {
		from[n].observe(&v)
		from[n].foresee(&v)
	}
}

// sort puts the instances in heaps.
func (sc *scratch) sort(serving []*Instance, q *Query, requestTokens int64) {
	sc.from = nil
	sc.usable, sc.returning, sc.spare, sc.full, sc.last = sc.usable[:0], sc.returning[:0], sc.spare[:0], sc.full[:0], sc.last[:0]
	for _, i := range serving {
		if q.Tried.has(i) || q.Only != nil && q.Only != i {
			continue
		}
		state, l, full := i.State(), i.load(requestTokens), false
		heap := &sc.usable
		switch {
		case state != Healthy && !i.routable():
			if state != Ejected || !i.lastResort() {
				continue
			}
			heap = &sc.last
		case i.full(l):
			heap, full = &sc.full, true
		case state != Healthy:
			heap = &sc.spare
		case !i.ramp.over():
			heap = &sc.returning
		}
		c := grow(heap)
		c.inst, c.load, c.depth, c.blocks, c.cached, c.ties, c.crowded, c.full = i, l, 0, 0, 0, 0, i.crowded(l), full
	}
	sc.ramp()
}

// grow adds a candidate with whatever an earlier decision left in its outlook:
// to clear that would take longer than all else.
func grow(heap *[]candidate) *candidate {
	if len(*heap) == cap(*heap) {
		*heap = slices.Grow(*heap, 16)
	}
	*heap = (*heap)[:len(*heap)+1]
	return &(*heap)[len(*heap)-1]
}

// ramp lets those that returned from an ejection take their share of what the
// others have in flight.
func (sc *scratch) ramp() {
	if len(sc.returning) == 0 {
		return
	}
	var others int64
	for _, c := range sc.usable {
		others += c.load.requests
	}
	n := int64(len(sc.usable))
	for _, c := range sc.returning {
		if n == 0 || c.inst.ramp.admits(c.load.requests, others, n) {
			sc.usable = append(sc.usable, c)
		} else {
			sc.spare = append(sc.spare, c)
		}
	}
}

// any is an instance to wait for where there was no time to choose.
func (sc *scratch) any() *Instance {
	for _, c := range [][]candidate{sc.usable, sc.spare, sc.full, sc.last} {
		if len(c) > 0 {
			return c[0].inst
		}
	}
	return nil
}

// expected is how many tokens the answer will have: what answers like it had,
// but never more than the client wants.
func (s *Scheduler) expected(q *Query) int64 {
	usual := int64(s.output.Of(q.Like, q.PromptTokens, firstOutput))
	if q.MaxTokens >= 0 {
		return min(int64(q.MaxTokens), usual)
	}
	return usual
}

// requestTokens is what a request of unknown size counts as.
func (s *Scheduler) requestTokens() int64 {
	return s.prompt.value() + int64(s.output.Usual(firstOutput))
}
