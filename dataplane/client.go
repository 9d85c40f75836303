package dataplane

import (
	"errors"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"penstock/scheduler"
)

// client is one connection from outside and the request it carries. Its
// goroutine runs serve and owns every field but those named below.
type client struct {
	g    *Gateway
	conn net.Conn
	fd   int
	ip   []byte // the peer's address as X-Forwarded-For shows it

	in   *buffer // bytes read and not yet consumed: in.b[r:w]
	r, w int
	out  []byte // scratch for heads

	scratch *scratch // where out and the lists of headers come from; nil: given away

	req request
	att attempt
	bye bool // the answer said that the connection ends with it

	lingers bool // it does, and bytes of the request may still be on their way

	slot int // in the sweeper's table, owned by it

	// The sweeper reads these, the client's goroutine writes them.
	deadline atomic.Int64 // of what it is doing, ns on the gateway's clock; 0: none
	doing    atomic.Uint32
	expired  atomic.Bool                        // the deadline passed
	waitsFor atomic.Pointer[scheduler.Instance] // has the request, and has not answered a byte; written under mu
	hung     atomic.Bool                        // the try was ended because that instance hangs

	// Whoever interrupts holds mu, so that it never hits the next request.
	mu   sync.Mutex
	up   *engineConn // carries this client's request
	wait *waiter     // is held
	stop atomic.Uint32
}

// What a client's goroutine may be blocked in.
const (
	doingRead   = iota // the client's socket
	doingWrite         // the client's socket
	doingEngine        // the engine's socket
)

// Why a client's goroutine has to end. Once set it stays.
const (
	stopNone  = iota
	stopLeft  // the client closed its side
	stopDrain // the time to drain is over
)

// lastWords is how long a client has to take what it is told at the end.
const lastWords = time.Second

// past is a deadline that makes any read or write return at once.
var past = time.Unix(1, 0)

// serve answers one request after another until either side has enough.
func (c *client) serve() {
	for {
		if !c.readHead() {
			return
		}
		again := c.answerOne()
		c.req.reset(c.g)
		if !again || c.stop.Load() != stopNone {
			return
		}
	}
}

// answerOne serves the request whose head was read. It says whether another
// may follow on this connection.
func (c *client) answerOne() (again bool) {
	q := &c.req
	c.g.account.begin()
	defer c.g.account.end(q)
	defer c.settle()
	defer c.recovered()
	if r := c.admit(); r != nil {
		return c.refuse(r)
	}
	switch q.route.kind {
	case routeHealth:
		return c.answerHealth()
	case routeModels:
		return c.answerModels()
	}
	if r := c.readBody(); r != nil {
		return c.refuse(r)
	}
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
func (c *client) recovered() {
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

// refuse answers with r. A body that was not read is skipped when it is small,
// else the connection ends.
func (c *client) refuse(r *refusal) (again bool) {
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
	head := q.head.Is("HEAD") // skipBody may read over the head
	keep := q.head.KeepAlive && r.status != 408 && r.status != 431 && !q.broken && !c.g.Draining() && c.skipBody()
	c.out = r.appendTo(c.out[:0], q.minor(), q.id, !keep)
	if head {
		c.out = c.out[:len(c.out)-len(r.object())]
	}
	if err := c.write(c.out); err != nil {
		return false
	}
	c.lingers = !keep
	return keep
}

// write sends p to the client, for as long as limits.stall_timeout lets it.
func (c *client) write(p []byte) error {
	c.within(doingWrite, c.g.cfg.Limits.StallTimeout)
	_, err := c.conn.Write(p)
	return err
}

// within notes what the goroutine is about to block in, for the sweeper.
func (c *client) within(doing uint32, limit time.Duration) {
	c.withinAt(c.g.now(), doing, limit)
}

func (c *client) withinAt(now int64, doing uint32, limit time.Duration) {
	c.doing.Store(doing)
	if limit <= 0 {
		c.deadline.Store(0)
		return
	}
	c.deadline.Store(now + int64(limit))
}

// expire is the sweeper's call: the time for what the client is doing is over.
func (c *client) expire(deadline int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deadline.CompareAndSwap(deadline, 0) {
		return // it went on in the meantime
	}
	c.expired.Store(true)
	switch c.doing.Load() {
	case doingRead:
		c.conn.SetReadDeadline(past)
	case doingWrite:
		c.conn.SetWriteDeadline(past)
	case doingEngine:
		if c.up != nil {
			c.up.SetDeadline(past)
		}
	}
}

// freshen takes back what an expiry did to the socket that came when what it was
// for had just been done.
func (c *client) freshen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expired.Swap(false) && c.stop.Load() == stopNone {
		c.conn.SetDeadline(time.Time{})
	}
}

// unhang is the sweeper's call: an instance that hangs has the request, and no
// byte of it has come. Another may have it, if there is one that can.
func (c *client) unhang(i *scheduler.Instance) {
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

// peerLeft is the watcher's call: FIN or RST from the client. A client that
// only half-closes counts as gone too.
func (c *client) peerLeft(witness) { c.interrupt(stopLeft) }

// interrupt ends whatever the client's goroutine is blocked in.
func (c *client) interrupt(why uint32) {
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
	c.conn.SetReadDeadline(past)
	if why == stopLeft {
		c.conn.SetWriteDeadline(past)
	} else { // it is still told why, if it takes it
		c.conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
}

// answered says that a byte of an answer has come: from now on what a retry
// would need may go.
func (c *client) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitsFor.Store(nil)
}

// carry says which engine's connection, if any, has the request now. It
// refuses when the client was interrupted.
func (c *client) carry(up *engineConn) error {
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

// finish gives everything back, also what a panic left.
func (c *client) finish() {
	if c.up != nil {
		c.up.close()
	}
	c.req.decision.Reservation.End()
	c.req.release(c.g)
	if c.lingers {
		c.linger()
	}
	c.g.watch.remove(c.fd)
	c.conn.Close()
	c.shed()
	putBuffer(c.in)
	c.in = nil
	c.g.clients.remove(c)
}

// linger lets the client read the last answer before the socket is closed:
// closing with unread bytes sends RST, which can overtake the answer.
func (c *client) linger() {
	const most = 256 << 10
	if hc, ok := c.conn.(interface{ CloseWrite() error }); !ok || hc.CloseWrite() != nil {
		return
	}
	c.within(doingRead, time.Second)
	b := getBuffer(minBuffer)
	defer putBuffer(b)
	for n := 0; n < most; {
		k, err := c.conn.Read(b.b)
		if err != nil {
			return
		}
		n += k
	}
}
