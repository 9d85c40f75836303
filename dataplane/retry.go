package dataplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"penstock/scheduler"
)

// maxRetries bounds retry.count; the set of tried instances is of fixed size.
const maxRetries = 7

// ending says how a try went.
type ending uint8

const (
	ended   ending = iota // the answer was moved whole
	cut                   // bytes went out, and then the engine failed
	failed                // nothing went out: another instance may have it
	wanting               // the router itself had no descriptor or port left
	left                  // the client is gone, or takes no more
	halted                // the time to drain was over
)

// outcome is a try's end and the evidence.
type outcome struct {
	end     ending
	failure scheduler.Failure // failed, cut: what the instance did
	err     error             // failed, cut: in words
	alive   bool              // failed: the instance broke off, and takes connections
	silent  bool              // failed before a byte of an answer: on a reused connection that proves nothing
	keep    bool              // the engine's connection can serve again
}

// forward takes a request through its tries. This is the place, and the only
// one, where a request is retried.
func (c *call) forward() (again bool) {
	q := &c.req
	c.ask()
	for {
		if r := c.place(); r != nil {
			return c.giveUp(r, nil)
		}
		q.tries++
		out := c.try()
		c.teach(c.g.now(), out)
		q.decision.Reservation.End()
		if out.end == failed && c.stop.Load() != stopNone {
			out.end = c.stopped() // while the connection was made, say
		}
		if q.tries > 1 && out.end <= failed {
			c.g.account.retried(out.end == ended)
		}
		switch out.end {
		case ended:
			q.blame.settle()
			switch {
			case retryableStatus(q.status): // no try was left to better it
				q.decision.Instance.Failed(scheduler.BadStatus, fmt.Sprintf("it answered %d", q.status))
			case q.status >= 500:
				q.decision.Instance.Errored()
			default:
				q.decision.Instance.Succeeded()
			}
			return c.to.keepsAlive()
		case cut:
			if !q.meter.done {
				q.decision.Instance.Failed(out.failure, out.err.Error())
			}
			return c.to.cutShort(cutBy(out)) && c.to.keepsAlive()
		case wanting:
			c.g.log.Error("no connection to an instance: this machine has no descriptor or port left (ulimit -n, ip_local_port_range)", "err", out.err)
			return c.refuse(refuseWanting)
		case left:
			if q.refused == nil { // else it was told why it gets no more
				c.g.account.aborted(q)
				q.gone()
			}
			return false
		case halted:
			if q.started {
				c.to.cutShort(refuseDraining)
				return false
			}
			return c.refuse(refuseDraining)
		}
		switch {
		case out.failure == scheduler.Hung: // its keeper has said so, and may know better by now
			q.query.Opaque = true // what hung one instance takes no second one out so easily
		case out.alive:
			q.blame.brokeOff(q.decision.Instance, out.err)
		default:
			q.decision.Instance.Failed(out.failure, out.err.Error())
		}
		q.query.Tried.Add(q.decision.Instance)
		if r := c.exhausted(out); r != nil {
			return c.giveUp(r, out.err)
		}
	}
}

// exhausted says why a request whose try failed may not have another, or nil.
func (c *call) exhausted(out outcome) *refusal {
	q := &c.req
	switch {
	case q.deaths >= 2:
		// It may be what kills them.
		return &refusal{status: 502, code: "instance_failed", reason: reasonInstanceFailed,
			msg: fmt.Sprintf("%d instances died while they had this request; it is not given to another", q.deaths)}
	case q.tries > c.g.cfg.Retry.Count:
		c.g.account.exhausted()
		return c.spent(out)
	}
	return nil
}

// spent is what the client gets when no try is left.
func (c *call) spent(out outcome) *refusal {
	q := &c.req
	tried := "1 instance was tried"
	if q.tries > 1 {
		tried = fmt.Sprintf("%d instances were tried", q.tries)
	}
	r := &refusal{status: 502, code: "instance_failed", reason: reasonInstanceFailed,
		msg: fmt.Sprintf("%s; the last, %s: %v", tried, q.last.Name, out.err)}
	switch out.failure {
	case scheduler.Timeout, scheduler.Unreachable, scheduler.Hung:
		r.status, r.code, r.reason = 504, "instance_timeout", reasonInstanceTimeout
	}
	return r
}

var errHung = errors.New("it hangs: nothing moves in it")

// giveUp ends a request that no instance answered: with an engine's own last
// answer if there was one, else with r.
func (c *call) giveUp(r *refusal, last error) (again bool) {
	q := &c.req
	q.blame.settle()
	if q.stash != nil {
		return c.answerStashed(r)
	}
	if q.tries > 0 && last == nil && (r.code == refuseNoInstance.code || r.code == "model_not_found") {
		c.g.account.exhausted()
		r = c.spent(outcome{err: q.lastErr, failure: q.lastFailure})
	}
	return c.refuse(r)
}

// try gives the request to the instance that was decided on. A reused
// connection that fails before any answer is replaced by a fresh one, once:
// an engine may close an idle connection at any time.
func (c *call) try() (out outcome) {
	q := &c.req
	st := c.g.stations.of(q.decision.Instance)
	defer func() { q.last, q.lastErr, q.lastFailure = q.decision.Instance, out.err, out.failure }()
	given := false // the instance has had the request
	for fresh := false; ; fresh = true {
		up, err := st.warm.get(time.Now(), fresh)
		if scheduler.Ours(err) {
			return outcome{end: wanting, err: err}
		}
		if err != nil {
			if given {
				q.deaths++
			}
			return outcome{end: failed, failure: dialFailure(err), err: describeDial(err)}
		}
		out = c.tryOn(st, up)
		given = true
		if out.end == failed && out.silent && up.reused {
			st.warm.stale[byUse].Add(1)
			continue
		}
		if (out.end == failed || out.end == cut) && (out.failure == scheduler.Reset || out.failure == scheduler.Closed) && !q.meter.done {
			switch dead := c.died(st); {
			case dead && out.end == failed:
				q.deaths++
			case !dead:
				out.failure, out.alive = scheduler.Closed, true
			}
		}
		return out
	}
}

// tryOn carries the request on one connection and sees to the connection.
func (c *call) tryOn(st *station, up *engineConn) outcome {
	if c.carry(up) != nil {
		st.warm.put(up, time.Now())
		return outcome{end: c.stopped()}
	}
	c.out = c.appendRequest(c.out[:0], st)
	if q := &c.req; q.sent == 0 {
		q.sent = c.g.now()
		q.overhead = q.sent - q.ready - q.pending
	}
	t := &c.att
	t.req, t.up, t.head, t.body = &c.req, up, c.out, c.req.body
	out := c.g.mover.move(t, c)
	t.up, t.body = nil, nil
	c.carry(nil)
	if c.req.tunnel != nil {
		out = c.req.tunnel.through(up, t.rest, out)
	}
	if out.end == failed && c.hung.Load() {
		out.failure, out.err, out.silent = scheduler.Hung, errHung, false
	}
	if out.keep && !c.expired.Load() && c.stop.Load() == stopNone {
		st.warm.put(up, time.Now())
	} else {
		up.close()
	}
	if out.end != ended && c.stop.Load() != stopNone {
		out.end = c.stopped()
	}
	return out
}

// stopped is how a try ends that an interruption ended.
func (c *call) stopped() ending {
	if c.stop.Load() == stopDrain {
		return halted
	}
	return left
}

// died asks, by a fresh connection, whether an instance that failed is gone
// for good. One that is not leaves us a warm connection.
func (c *call) died(st *station) bool {
	up, err := st.warm.get(time.Now(), true)
	if err == nil {
		st.warm.put(up, time.Now())
		return false
	}
	if scheduler.Ours(err) {
		return false
	}
	c.req.decision.Instance.Failed(dialFailure(err), describeDial(err).Error())
	return true
}

func dialFailure(err error) scheduler.Failure {
	if errors.Is(err, context.Canceled) {
		return scheduler.Unreachable
	}
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		return scheduler.Unreachable
	}
	return scheduler.Refused
}

func describeDial(err error) error {
	switch {
	case dialFailure(err) == scheduler.Unreachable:
		return fmt.Errorf("no connection in time")
	case isErrno(err, syscall.ECONNREFUSED):
		return fmt.Errorf("connection refused")
	}
	return fmt.Errorf("no connection: %v", err)
}
