package load

import (
	"container/heap"
	"time"

	"penstock/bench/workload"
)

// script sends a workload's requests: those of its stream when they are due, and
// what clients say next when they have their answers. It belongs to one
// goroutine, and so do the workload's own functions.
type script struct {
	*run
	crew   *crew
	stream workload.Stream
	coming *workload.Request // the next of stream
	stage  time.Duration     // when its stage began
	later  agenda            // what clients will say next
	live   int               // requests under way
	sent   int
	ended  chan end // as many places as requests are in flight: no worker waits
	timer  *time.Timer
}

// end is a request's, answered or not.
type end struct {
	asked *workload.Request
	free  time.Duration // when its client may go on
}

func (r *run) newScript() *script {
	s := &script{run: r, crew: newCrew(r), stream: r.cfg.Workload.Open(r.cfg.params()), ended: make(chan end, r.cfg.MaxInFlight), timer: time.NewTimer(0)}
	s.coming = s.stream()
	r.ended = s.ended
	return s
}

// play is the goroutine's whole life.
func (s *script) play() {
	punctual()
	defer s.crew.dismiss()
	defer s.timer.Stop()
	for s.ctx.Err() == nil {
		q, at := s.next()
		if q == nil && s.live == 0 {
			return
		}
		if q == nil || s.clock.until(at) > coarse {
			s.await(q != nil, at)
			continue
		}
		if !s.clock.sleepUntil(s.ctx, at) || !s.send(q, at) {
			return
		}
	}
}

// next is what goes out next, as far as is known now, and when; nil: something
// must end before.
func (s *script) next() (*workload.Request, time.Duration) {
	s.drain()
	if s.cfg.Requests > 0 && s.sent >= s.cfg.Requests {
		return nil, 0
	}
	if q := s.coming; q != nil && q.Stage && s.live == 0 && len(s.later) == 0 {
		s.stage, q.Stage = s.clock.now(), false
	}
	q, at := s.coming, time.Duration(0)
	if q != nil {
		if at = s.stage + q.At; q.Stage {
			q = nil
		}
	}
	if len(s.later) > 0 && (q == nil || s.later[0].At < at) {
		q, at = s.later[0], s.later[0].At
	}
	if s.cfg.Workload.Closed && s.cfg.Duration > 0 && at >= s.cfg.Duration {
		return nil, 0
	}
	return q, at
}

// send takes q from where it was.
func (s *script) send(q *workload.Request, at time.Duration) bool {
	if q == s.coming {
		s.coming = s.stream()
	} else {
		heap.Pop(&s.later)
	}
	s.sent++
	s.live++
	return s.crew.give(job{s.sent, at, q})
}

// await waits until a request is nearly due, or one has ended.
func (s *script) await(due bool, at time.Duration) {
	s.timer.Stop()
	if due {
		s.timer.Reset(s.clock.until(at) - coarse)
	}
	select {
	case e := <-s.ended:
		s.over(e)
	case <-s.timer.C:
	case <-s.ctx.Done():
	}
}

// drain hears of all that have ended.
func (s *script) drain() {
	for {
		select {
		case e := <-s.ended:
			s.over(e)
		default:
			return
		}
	}
}

// over lets the client go on.
func (s *script) over(e end) {
	s.live--
	if e.asked.Then == nil {
		return
	}
	if q := e.asked.Then(e.free); q != nil {
		heap.Push(&s.later, q)
	}
}

// agenda is a heap of requests by their times.
type agenda []*workload.Request

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, k int) bool { return a[i].At < a[k].At }
func (a agenda) Swap(i, k int)      { a[i], a[k] = a[k], a[i] }
func (a *agenda) Push(q any)        { *a = append(*a, q.(*workload.Request)) }
func (a *agenda) Pop() any {
	last := len(*a) - 1
	q := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	return q
}
