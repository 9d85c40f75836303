package scheduler

import (
	"time"

	"penstock/scheduler/record"
)

// Record leaves what decisions are made from in the ring. Before the first one.
func (s *Scheduler) Record(r *record.Ring) { s.records = r }

var verdicts = [...]string{NoInstance: record.NoInstance, NoModel: record.NoModel, Full: record.Full, Hopeless: record.Hopeless, Picked: record.Picked}

// note records the decision. Of a request that is held, the first no is enough:
// it is asked about again whenever something changes.
func (s *Scheduler) note(q *Query, d *Decision, sc *scratch) {
	if s.records == nil || d.Verdict == Full && q.noted > q.Tried.Len() {
		return
	}
	if d.Verdict == Full {
		q.noted = q.Tried.Len() + 1
	}
	e := s.entry(q)
	e.Verdict, e.Policy, e.Reason, e.Degraded = verdicts[d.Verdict], d.Policy, d.Reason, d.Degraded
	e.Unheld = d.Verdict == Full && q.Eager && q.Held == 0 // who is held may be made eager, to shorten the line
	if d.Instance != nil {
		e.Instance = d.Instance.Name
	}
	if e.Degraded == "" {
		e.Degraded = "none"
	}
	e.Blocks, e.Expected = int32(q.promptBlocks()), int32(s.expected(q))
	e.Pending, e.TTFT = milli(seconds(q.pending())), milli(d.TTFT)
	s.noteCandidates(e, q, d, sc)
	d.Reservation.seq = s.records.Put(e)
}

// Refused records that the gateway refused a request that had been asked for,
// pending ns of which it was held: no decision tells that. It computes nothing,
// for a fault in that may be why the request is refused.
func (s *Scheduler) Refused(q *Query, status int, code string, pending int64) {
	if s.records == nil {
		return
	}
	e := s.entry(q)
	e.Verdict, e.Policy, e.Degraded = record.Refused, s.policy.name, "none"
	e.Status, e.Code, e.Pending = int32(status), code, milli(seconds(pending))
	s.records.Put(e)
}

// entry begins one with what the query says of its request.
func (s *Scheduler) entry(q *Query) *record.Entry {
	e := s.records.Begin(q.ID, q.Model, q.Key)
	e.Try, e.Priority, e.Stream = int32(q.Tried.Len()+1), int32(q.Priority), q.Stream
	e.Prompt, e.BlockTokens, e.Max = int32(q.PromptTokens), int32(q.BlockTokens), int32(q.MaxTokens)
	e.Session, e.Chance = record.Hash(q.Session), record.Hash(q.Rand)
	if n := len(q.Prefix); n > 0 {
		e.PromptHash = record.Hash(q.Prefix[min(1, n-1)])
	}
	return e
}

func (s *Scheduler) noteCandidates(e *record.Entry, q *Query, d *Decision, sc *scratch) {
	from := sc.from
	e.Considered, e.Full, e.Spare = int32(len(from)), int32(len(sc.full)), int32(len(sc.spare))
	switch { // who was considered is not left out
	case same(from, sc.spare):
		e.Spare = 0
	case same(from, sc.full), same(from, sc.usable) && s.waits(q):
		e.Full = 0
	}
	all, now, usual := s.policy.outlook || s.records.Whole(), e.Time.UnixNano(), float64(s.prompt.value())
	for _, n := range sc.cheapest(s.records.Most(), d.Instance, all) {
		from[n].note(e.Add(), usual, now, all || from[n].inst == d.Instance)
	}
	if n := e.Chosen(); n >= 0 && d.Verdict == Picked { // it was given its own since
		c, r := &e.Candidates[n], &d.Reservation
		c.Compute, c.Keep = max(c.Compute-clamp(r.queued), 0), c.Keep-clamp(r.fresh)
	}
}

// same says whether two slices are one.
func same(a, b []candidate) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// cheapest are who is worth to be kept: all if they are few, and whom the policy
// chose in any case. Else costs are kept in a heap, the highest first.
func (sc *scratch) cheapest(most int, chosen *Instance, foreseen bool) []int32 {
	from, keep := sc.from, sc.keep[:0]
	for n := range from {
		switch {
		case len(keep) < most:
			keep = append(keep, int32(n))
			if len(keep) == most && most < len(from) && foreseen {
				for root := most/2 - 1; root >= 0; root-- {
					sink(keep, from, root)
				}
			}
		case foreseen && from[n].cost < from[keep[0]].cost:
			keep[0] = int32(n)
			sink(keep, from, 0)
		}
	}
	sc.keep = keep
	if most >= len(from) {
		return keep
	}
	for n := range from {
		if from[n].inst != chosen {
			continue
		}
		for _, k := range keep {
			if k == int32(n) {
				return keep
			}
		}
		keep[0] = int32(n)
	}
	return keep
}

// sink restores the heap below root.
func sink(heap []int32, from []candidate, root int) {
	for {
		child := 2*root + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && from[heap[child+1]].cost > from[heap[child]].cost {
			child++
		}
		if from[heap[root]].cost >= from[heap[child]].cost {
			return
		}
		heap[root], heap[child] = heap[child], heap[root]
		root = child
	}
}

// note records a candidate; unless it was foreseen, what its outlook says is
// another's. usual is what counts for each request in the engine's own queue.
func (c *candidate) note(to *record.Candidate, usual float64, wall int64, foreseen bool) {
	i := c.inst
	w, live := &i.row.work, i.live()
	to.Instance, to.Full = i.Name, c.full
	to.KVUsage, to.KVTokens = float32(i.said.kvUsage.Load())/1e6, clamp(i.said.kvSize.Load())
	to.Hits, to.Cached = c.blocks, c.cached
	to.Compute, to.Keep, to.Tokens = clamp(max(w.fresh.Load(), 0)), clamp(w.kept.Load()), clamp(c.load.tokens)
	to.InFlight, to.Foreign, to.Waiting = clamp(c.load.requests-c.load.foreign), clamp(c.load.foreign), clamp(c.load.waiting)
	to.Streams, to.Token = clamp(i.row.streams.Load()), float32(i.rates.Load().Token*1e6)
	for n := range to.Ages {
		to.Ages[n] = -1
		if live.Has(signalSources[n].has) {
			to.Ages[n] = clamp(max(wall-i.signals[n].at.Load(), 0) / int64(time.Millisecond))
		}
	}
	if !foreseen {
		to.TTFT, to.Cost, to.Wait, to.Short, to.Fresh, to.Ahead, to.Ready = 0, 0, 0, 0, 0, 0, false
		to.Backlog = to.Compute
		return
	}
	to.TTFT, to.Cost, to.Wait, to.Short = milli(c.ttft), max(milli(c.cost), 1e-3), milli(c.wait), milli(c.short)
	to.Fresh, to.Ahead, to.Ready = int32(c.fresh), int32(max(c.ahead, 0)), c.ready()
	to.Backlog = int32(max(c.ahead-float64(c.load.waiting)*usual, 0))
}

// pending is how long the request was held until now, in ns.
func (q *Query) pending() int64 {
	if q.Held == 0 {
		return q.Pending
	}
	return q.Pending + max(q.Now-q.Held, 0)
}

func (r *Reservation) noteFirst(after int64) {
	if r.seq != 0 {
		r.sched.records.First(r.seq, time.Duration(after))
	}
}

func milli(seconds float64) float32 { return float32(seconds * 1e3) }

func clamp(n int64) int32 { return int32(min(max(n, -1<<31), 1<<31-1)) }
