package dataplane

import (
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"penstock/scheduler"
)

// call is a request on its way, whatever brought it: a connection that speaks
// HTTP (client.go), or a message of a WebSocket (message.go). Its goroutine owns
// every field but those named below.
type call struct {
	g  *Gateway
	to transport
	ip []byte // the peer's address as X-Forwarded-For shows it

	out     []byte   // scratch for heads
	scratch *scratch // where out and the lists of headers come from; nil: given away

	req request
	att attempt

	slot int // in the sweeper's table, owned by it

	// The sweeper reads these, the call's goroutine writes them.
	deadline atomic.Int64 // of what it is doing, ns on the gateway's clock; 0: none
	doing    atomic.Uint32
	expired  atomic.Bool                        // the deadline passed
	waitsFor atomic.Pointer[scheduler.Instance] // has the request, and has not answered a byte; written under mu
	hung     atomic.Bool                        // the try was ended because that instance hangs

	// Whoever interrupts holds mu, so that it never hits the next request.
	mu   sync.Mutex
	up   *engineConn // carries this request
	wait *waiter     // is held
	stop atomic.Uint32
}

// transport is how a client gets what its request comes to. Its methods are the
// call's goroutine's, but for the last two.
type transport interface {
	// tell answers with a refusal of the router's own, and says whether another
	// request may follow.
	tell(r *refusal) (again bool)
	// open gives the head of an engine's answer and the first piece of its body,
	// pass a further piece. Either settles before the last byte goes out.
	open(now int64, a *answer, piece []byte) error
	pass(now int64, a *answer, piece []byte) error
	// cutShort ends an answer that has begun, and says whether it did so in order.
	cutShort(r *refusal) (whole bool)
	// keepsAlive says whether another request may follow the answer.
	keepsAlive() bool

	// late ends what the goroutine is doing with the client, whose time is over;
	// interrupted does so for good. With call.mu held.
	late(doing uint32)
	interrupted(why uint32)
}

// What a call's goroutine may be blocked in.
const (
	doingRead   = iota // the client's socket
	doingWrite         // the client's socket
	doingEngine        // the engine's socket
)

// Why a call's goroutine has to end. Once set it stays.
const (
	stopNone  = iota
	stopLeft  // the client closed its side, or does not want the answer any more
	stopDrain // the time to drain is over
)

// past is a deadline that makes any read or write return at once.
var past = time.Unix(1, 0)

// serve takes a request whose body was read through the router.
func (c *call) serve() (again bool) {
	if r := c.understand(); r != nil {
		return c.refuse(r)
	}
	if r := c.reserve(); r != nil {
		return c.refuse(r)
	}
	return c.forward()
}

// recovered ends a request that failed inside the router: its client is told so
// while it has not been told anything else.
func (c *call) recovered() {
	p := recover()
	if p == nil {
		return
	}
	c.g.log.Error("a request failed inside the router", "panic", p, "stack", string(debug.Stack()))
	q := &c.req
	if up := c.up; up != nil {
		c.carry(nil)
		up.close()
	}
	q.decision.Reservation.End()
	if q.broken = true; !q.started {
		c.refuse(refuseInternal)
	}
}

// refuse answers with r, if somebody is left to hear it.
func (c *call) refuse(r *refusal) (again bool) {
	q := &c.req
	q.refused = r
	q.status = r.status
	if q.query.ID != "" && c.stop.Load() != stopLeft { // it was asked for; the query's strings are in what is released
		c.g.sched.Refused(&q.query, r.status, r.code, q.pending)
	}
	q.release(c.g) // what was read of the body is of no use, however slowly the client reads
	if c.stop.Load() == stopLeft {
		q.gone()
		return false
	}
	c.settle()
	return c.to.tell(r)
}

// within notes what the goroutine is about to block in, for the sweeper.
func (c *call) within(doing uint32, limit time.Duration) {
	c.withinAt(c.g.now(), doing, limit)
}

func (c *call) withinAt(now int64, doing uint32, limit time.Duration) {
	c.doing.Store(doing)
	if limit <= 0 {
		c.deadline.Store(0)
		return
	}
	c.deadline.Store(now + int64(limit))
}

// expire is the sweeper's call: the time for what the call is doing is over.
func (c *call) expire(deadline int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.CompareAndSwap(deadline, 0) {
		return // it went on in the meantime
	}
	c.expired.Store(true)
	if doing := c.doing.Load(); doing != doingEngine {
		c.to.late(doing)
	} else if c.up != nil {
		c.up.SetDeadline(past)
	}
}

// unhang is the sweeper's call: an instance that hangs has the request, and no
// byte of it has come. Another may have it, if there is one that can.
func (c *call) unhang(i *scheduler.Instance) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up == nil || c.waitsFor.Load() != i {
		return // it went on in the meantime
	}
	if !c.g.sched.Elsewhere(&c.req.query, i) {
		return
	}
	c.waitsFor.Store(nil)
	c.hung.Store(true)
	c.expired.Store(true)
	c.up.SetDeadline(past)
}

// interrupt ends whatever the call's goroutine is blocked in.
func (c *call) interrupt(why uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stop.CompareAndSwap(stopNone, why) {
		return
	}
	if c.up != nil {
		c.up.SetDeadline(past)
	}
	if c.wait != nil {
		c.wait.cancel()
	}
	c.to.interrupted(why)
}

// answered says that a byte of an answer has come: from now on what a retry
// would need may go.
func (c *call) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitsFor.Store(nil)
}

// carry says which engine's connection, if any, has the request now. It
// refuses when the call was interrupted.
func (c *call) carry(up *engineConn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up = up
	c.deadline.Store(0) // that of the try before would end this one
	if up == nil {
		c.waitsFor.Store(nil)
		return nil
	}
	c.expired.Store(false)
	c.hung.Store(false)
	if c.stop.Load() != stopNone {
		c.up = nil
		return errInterrupted
	}
	c.waitsFor.Store(c.req.decision.Instance)
	return nil
}

var errInterrupted = errors.New("interrupted")

// end gives back what the request has, also what a panic left.
func (c *call) end() {
	if c.up != nil {
		c.up.close()
	}
	c.req.decision.Reservation.End()
	c.req.release(c.g)
}
