package dataplane

import (
	"net"
	"time"
)

// client is one connection from outside that speaks HTTP, with the request it
// carries. Its goroutine runs serve.
type client struct {
	call
	conn net.Conn
	fd   int

	in   *buffer // bytes read and not yet consumed: in.b[r:w]
	r, w int

	bridge *bridge // has the connection by now: it is a WebSocket

	bye     bool // the answer said that the connection ends with it
	lingers int  // it does, and so many bytes may still be on their way
}

// How much is read of who may still be speaking, at most: the body of a request, or
// what passes through a WebSocket.
const (
	mostUnread = 256 << 10
	mostPassed = 1 << 30
)

// lastWords is how long a client has to take what it is told at the end.
const lastWords = time.Second

// serve answers one request after another until either side has enough.
func (c *client) serve() {
	for {
		if !c.readHead() {
			return
		}
		again := c.answerOne()
		c.req.reset(c.g)
		if c.bridge != nil || !again || c.stop.Load() != stopNone {
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
	if q.upgrades() {
		return c.upgrade()
	}
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
	return c.call.serve()
}

// tell answers with r. A body that was not read is skipped when it is small,
// else the connection ends.
func (c *client) tell(r *refusal) (again bool) {
	q := &c.req
	head := q.head.Is("HEAD") // skipBody may read over the head
	keep := q.head.KeepAlive && r.status != 408 && r.status != 431 && !q.broken && !c.g.Draining() && c.skipBody()
	c.out = r.appendTo(c.out[:0], q.minor(), q.id, !keep)
	if head {
		c.out = c.out[:len(c.out)-len(r.object())]
	}
	if err := c.write(c.out); err != nil {
		return false
	}
	if !keep {
		c.lingers = mostUnread
	}
	return keep
}

// write sends p to the client, for as long as limits.stall_timeout lets it.
func (c *client) write(p []byte) error {
	c.within(doingWrite, c.g.cfg.Limits.StallTimeout)
	_, err := c.conn.Write(p)
	return err
}

func (c *client) late(doing uint32) {
	if doing == doingRead {
		c.conn.SetReadDeadline(past)
	} else {
		c.conn.SetWriteDeadline(past)
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

// peerLeft is the watcher's call: FIN or RST from the client. A client that
// only half-closes counts as gone too.
func (c *client) peerLeft(witness) { c.interrupt(stopLeft) }

func (c *client) interrupted(why uint32) {
	c.conn.SetReadDeadline(past)
	if why == stopLeft {
		c.conn.SetWriteDeadline(past)
	} else { // it is still told why, if it takes it
		c.conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
}

// finish gives everything back, also what a panic left.
func (c *client) finish() {
	c.end()
	if c.lingers > 0 {
		linger(c.conn, c.lingers)
	}
	c.g.watch.remove(c.fd)
	if c.bridge == nil {
		c.conn.Close()
	}
	c.shed()
	putBuffer(c.in)
	c.in = nil
	c.g.calls.remove(&c.call)
}

// linger lets the client read the last answer before the socket is closed:
// closing with unread bytes sends RST, which can overtake the answer.
func linger(conn net.Conn, most int) {
	if hc, ok := conn.(interface{ CloseWrite() error }); !ok || hc.CloseWrite() != nil {
		return
	}
	conn.SetReadDeadline(time.Now().Add(lastWords)) // in the place of an interruption's
	b := getBuffer(minBuffer)
	defer putBuffer(b)
	for n := 0; n < most; {
		k, err := conn.Read(b.b)
		if err != nil {
			return
		}
		n += k
	}
}
