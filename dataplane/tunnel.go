package dataplane

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/dataplane/http1"
	"penstock/scheduler"
	"penstock/scheduler/record"
)

// tunnel is a WebSocket that passes through: its handshake is a request, given to
// an instance like any other, and from then on frames pass both ways as they are.
// Until the instance has said something, another may take its place: what the
// client has said is kept, and said again.
//
// The client's goroutine moves what the instance says, another (hear) what the
// client says.
type tunnel struct {
	*client
	accepted []byte // what the handshake promised the client: the lists of the first answer; nil: nothing yet; written under mu

	out frames // what has gone to the client; its goroutine's, and under writing
	in  frames // what has come from the client; hear's

	writing sync.Mutex // a frame to the client is whole before one of the router's own
	torn    bool       // the client did not take all: behind it, nothing would be a frame; likewise
	far     upstream
	moved   atomic.Int64 // when something of a message last passed either way, ns
	outward atomic.Bool  // something is on its way to the client, a message has begun
	inward  atomic.Bool  // likewise to the instance
	bidden  atomic.Bool  // the client has said goodbye

	parting atomic.Pointer[farewell] // it ends; set once, under mu
	even    bool                     // what the instance was given ends with a frame; hear's
	hearing sync.WaitGroup
	whole   bool // the request has gone its way, without a fault
	counted bool // as an answer
	ended   int  // the router's own close code; 0: it has not closed it
}

// passThrough gives the handshake to an instance and moves frames.
func (c *client) passThrough() (again bool) {
	q := &c.req
	q.head.KeepAlive = false
	if r := c.admitSocket(); r != nil {
		return c.refuse(r)
	}
	defer c.g.sockets.leave(&c.g.sockets.tunnels, q.keyIndex)
	if r := q.prioritize(); r != nil {
		return c.refuse(r)
	}
	if r := c.enter(); r != nil {
		return c.refuse(r)
	}
	t := &tunnel{client: c, far: upstream{stall: c.g.cfg.Limits.StallTimeout}}
	c.mu.Lock()
	c.to = t
	c.mu.Unlock()
	q.tunnel, q.ready = t, c.g.now()
	if r := q.nameModel(); r != nil {
		return c.refuse(r)
	}
	q.fields.MaxTokens, q.fields.Stream, q.fields.Media = -1, true, true
	defer t.end()
	c.forward()
	t.whole = true
	return false
}

// open answers the client's handshake as the instance did, the first time.
func (t *tunnel) open(now int64, a *answer, piece []byte) error {
	switch {
	case a.head.Status == 101:
	case t.accepted == nil:
		return t.client.open(now, a, piece)
	default: // the client was promised another's: of HTTP it hears no more
		t.req.status = 101
		t.far.lose()
		t.goodbye(websocket.CloseInternalServerErr, "the instance was lost, and the next answered the handshake with status "+strconv.Itoa(a.head.Status))
		return errOtherTerms
	}
	promised := append([]byte{}, a.head.Get(http1.SecWebSocketProtocol)...)
	promised = append(append(promised, '\n'), a.head.Get(http1.SecWebSocketExtensions)...)
	if t.accepted != nil {
		if bytes.Equal(t.accepted, promised) {
			return nil
		}
		t.far.lose()
		return errOtherTerms
	}
	t.accept(promised)
	t.client.out = append(t.client.out[:0], "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"...)
	for i := range a.head.Headers {
		h := &a.head.Headers[i]
		if !h.HopByHop() && h.Kind != http1.XRequestID {
			t.client.out = http1.AppendHeader(t.client.out, h.Name, h.Value)
		}
	}
	if q := &t.req; a.head.Get(http1.SecWebSocketProtocol) == nil && lists(q.head.Headers, http1.SecWebSocketProtocol, bridgeProtocol) {
		// Who offers protocols gives up if none is agreed on; this one is ours to.
		t.client.out = http1.AppendHeader(t.client.out, []byte("Sec-WebSocket-Protocol"), []byte(bridgeProtocol))
	}
	t.client.out = append(t.client.out, "X-Request-Id: "...)
	t.client.out = append(append(t.client.out, t.req.id...), "\r\n"...)
	t.client.out = append(t.appendDecision(t.client.out), "\r\n"...)
	if err := t.write(t.client.out); err != nil {
		return err
	}
	// Its end is read, with all that comes before it.
	t.g.watch.remove(t.fd)
	t.deadline.Store(0)
	t.hearing.Go(t.hear)
	return nil
}

// accept makes the client's connection a WebSocket's.
func (t *tunnel) accept(promised []byte) {
	t.moved.Store(t.g.now())
	t.g.account.passing.Add(1)
	t.g.sockets.pass(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.accepted = promised; t.stop.Load() == stopDrain {
		t.partNow(websocket.CloseGoingAway, refuseDraining.msg)
	}
}

var errOtherTerms = errors.New("another instance agreed on other protocols")

// refuseHole is for who said more than is kept while no instance was there.
var refuseHole = &refusal{status: 502, code: "instance_failed", reason: reasonInstanceFailed,
	msg: "the instance was lost, and more had been said by then than is kept for another"}

// through goes on where a handshake went well.
func (t *tunnel) through(up *engineConn, rest []byte, out outcome) outcome {
	switch {
	case t.far.isLost() && out.end == left:
		return outcome{end: cut, failure: scheduler.Closed, err: errOtherTerms}
	case t.req.status == 101 && out.end == ended:
		return t.pump(up, rest)
	}
	return out
}

// pump moves what the instance says until either end has ended, and says how it
// went: failed before the instance has said anything, another may take its place.
func (t *tunnel) pump(up *engineConn, rest []byte) outcome {
	defer up.close() // whatever fails in here
	if !t.far.attach(up.Conn) {
		t.cutShort(refuseHole)
		return outcome{end: left}
	}
	defer t.far.detach(up.Conn)
	t.moved.Store(t.g.now())
	b := getBuffer(minBuffer)
	defer putBuffer(b)
	for piece := rest; ; {
		bye := t.parting.Load()
		if bye != nil && (t.out.between() || bye.late()) {
			return t.depart(up, bye)
		}
		if len(piece) > 0 {
			t.far.spoke()
			t.stays()
			if err := t.deliver(piece); err != nil {
				return outcome{end: left}
			}
			piece = nil
			continue
		}
		if t.out.closing && t.far.hasLeft() {
			return outcome{end: ended}
		}
		n, err := up.Conn.Read(b.b)
		piece = b.b[:n]
		switch bye = t.parting.Load(); {
		case n > 0 || err == nil:
		case bye != nil && isTimeout(err): // whoever said so woke us
			up.Conn.SetReadDeadline(bye.until)
		default:
			return t.broke(err)
		}
	}
}

// stays counts the answer, once: that of the instance that has spoken, or of the
// last.
func (t *tunnel) stays() {
	if !t.counted {
		t.counted = true
		t.g.account.firstByte(&t.req, t.g.now())
	}
}

// broke says how a try ended whose instance says no more.
func (t *tunnel) broke(err error) outcome {
	out := broke(err, false)
	switch {
	case t.parting.Load() != nil, t.stop.Load() != stopNone, t.far.hasLeft(), t.out.closing, t.bidden.Load():
		return outcome{end: ended}
	case t.far.hasAnswered(), t.far.isLost():
		out.end = cut
	}
	return out
}

// deliver writes to the client what the instance said: where the tunnel ends, no
// more than the rest of the frame under way.
func (t *tunnel) deliver(p []byte) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	if !t.mayWrite() {
		return net.ErrClosed
	}
	t.outward.Store(true)
	before, data := t.out.messages, false
	if t.parting.Load() == nil {
		data = t.out.feed(p)
	} else {
		n := 0
		n, data = t.out.next(p)
		p = p[:n]
	}
	_, err := t.conn.Write(p)
	t.torn = err != nil
	t.g.sockets.tunnels.out.Add(uint64(t.out.messages - before))
	t.note(data)
	t.outward.Store(t.out.open)
	return err
}

// mayWrite gives a client that reads nothing limits.stall_timeout.
func (t *tunnel) mayWrite() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	parts := t.parting.Load() != nil
	if t.stop.Load() == stopNone && !parts { // else lastWords is what there is
		t.conn.SetWriteDeadline(time.Now().Add(t.g.cfg.Limits.StallTimeout))
	}
	return t.stop.Load() != stopLeft || parts
}

// note takes in whether what has passed is a sign of use: pings and pongs are not.
func (t *tunnel) note(data bool) {
	if data {
		t.moved.Store(t.g.now())
	}
}

// ping asks the client whether it is there. It does not wait for what a client that
// reads nothing does not take: what that says meanwhile has to be heard.
func (t *tunnel) ping() (sent bool) {
	if !t.writing.TryLock() {
		return false
	}
	defer t.writing.Unlock()
	return t.put(controlFrame(opPing, nil))
}

// inject sends a frame of the router's own, if no other is under way.
func (t *tunnel) inject(frame []byte) (sent bool) {
	t.writing.Lock()
	defer t.writing.Unlock()
	return t.put(frame)
}

// put is inject with writing held.
func (t *tunnel) put(frame []byte) (sent bool) {
	if !t.out.between() || t.out.closing || t.torn {
		return false
	}
	t.conn.SetWriteDeadline(time.Now().Add(lastWords))
	t.conn.Write(frame)
	return true
}

// tell says goodbye with the refusal's reason, or refuses the handshake.
func (t *tunnel) tell(r *refusal) bool {
	if t.accepted == nil {
		return t.client.tell(r)
	}
	code := websocket.CloseInternalServerErr
	switch {
	case r.reason == reasonDraining:
		code = websocket.CloseGoingAway
	case r.code == refuseNoInstance.code, r.reason == reasonQueueFull, r.reason == reasonQueueTimeout:
		code = websocket.CloseTryAgainLater
	}
	t.goodbye(code, r.msg)
	return false
}

func (t *tunnel) cutShort(r *refusal) bool {
	t.req.refused = r
	return t.tell(r)
}

func (t *tunnel) keepsAlive() bool { return false }

// interrupted ends the tunnel: in order, unless the client has left.
func (t *tunnel) interrupted(why uint32) {
	switch {
	case t.accepted == nil:
		t.client.interrupted(why)
	case why == stopDrain:
		t.partNow(websocket.CloseGoingAway, refuseDraining.msg)
	default:
		t.conn.SetReadDeadline(past)
		t.conn.SetWriteDeadline(time.Now().Add(lastWords))
		t.far.interrupt()
	}
}

// end closes the client's side, and waits for who hears it.
func (t *tunnel) end() {
	if t.accepted == nil {
		return
	}
	t.interrupt(stopLeft)
	t.hearing.Wait() // from here on all is ours
	if bye := t.parting.Load(); bye != nil {
		t.goodbye(bye.code, bye.why)
	} else if !t.whole {
		t.goodbye(websocket.CloseInternalServerErr, refuseInternal.msg)
	}
	code := t.ended
	switch {
	case code != 0:
	case t.in.closing:
		code = t.in.closeCode()
	case t.out.closing && !t.torn:
		code = t.out.closeCode()
	default:
		code = 1006
	}
	t.stays()
	t.g.sockets.tunnels.closed(code)
	t.req.decision.Reservation.Closed(t.g.now(), record.Socket{In: int64(t.in.messages), Out: int64(t.out.messages), Code: int32(code), Own: t.ended != 0})
	t.g.sockets.over(t)
	t.g.account.passing.Add(-1)
	t.conn.SetReadDeadline(time.Time{})
	if t.out.closing || t.ended != 0 {
		t.lingers = mostPassed
	}
}
