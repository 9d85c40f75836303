package dataplane

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"

	"penstock/dataplane/http1"
	"penstock/scheduler"
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

	state  sync.Mutex
	up     net.Conn // the instance's; nil while there is none
	said   []byte   // by the client, until the instance has answered
	answer bool     // it has
	lost   bool     // too much was said to say it again, or on other terms
	moved  int64    // when a message last passed either way, ns
	over   bool     // the client has left, or is to
	idled  bool     // because nothing passed

	hearing sync.WaitGroup
	ended   int // the router's own close code; 0: it has not closed it
}

// mostSaid is how much of what a client says is kept for the case that the
// instance dies before it answers.
const mostSaid = 256 << 10

// passThrough gives the handshake to an instance and moves frames.
func (c *client) passThrough() (again bool) {
	q := &c.req
	q.head.KeepAlive = false
	if r := c.admitSocket(); r != nil {
		return c.refuse(r)
	}
	defer c.g.sockets.leave(q.keyIndex)
	if r := c.enter(); r != nil {
		return c.refuse(r)
	}
	t := &tunnel{client: c}
	c.mu.Lock()
	c.to = t
	c.mu.Unlock()
	q.tunnel, q.ready = t, c.g.now()
	if model, ok := queryValue(q.head.Query, "model"); ok {
		q.fields.Model, q.fields.HasModel = model, true
	}
	q.fields.MaxTokens, q.fields.Stream, q.fields.Media = -1, true, true
	if !q.key.permits(q.fields.Model) {
		return c.refuse(&refusal{status: 403, code: "model_not_allowed", reason: reasonForbidden, param: "model", msg: forbiddenModel(q.fields.Model)})
	}
	c.forward()
	t.end()
	return false
}

// forbiddenModel says what to do about a model that a handshake may not name.
func forbiddenModel(model []byte) string {
	if len(model) == 0 {
		return "this API key may use some models only: name one, as ?model=NAME"
	}
	return "this API key may not use the model `" + clip(model) + "`: name another, as ?model=NAME"
}

// queryValue is a parameter of a query, as it stands there.
func queryValue(query []byte, name string) ([]byte, bool) {
	for p := range bytes.SplitSeq(query, []byte("&")) {
		if v, ok := bytes.CutPrefix(p, []byte(name+"=")); ok && !bytes.ContainsAny(v, "%+") {
			return v, true
		}
	}
	return nil, false
}

// appendUpgrade is what makes a request to an instance a handshake: the client's
// own, without the key in its list of protocols.
func (q *request) appendUpgrade(dst []byte) []byte {
	var protocols [][]byte
	for p := range bytes.SplitSeq(q.head.Get(http1.SecWebSocketProtocol), []byte(",")) {
		if p = bytes.TrimSpace(p); len(p) > 0 && !bytes.HasPrefix(p, []byte(keyProtocol)) {
			protocols = append(protocols, p)
		}
	}
	if len(protocols) > 0 {
		dst = http1.AppendHeader(dst, []byte("Sec-WebSocket-Protocol"), bytes.Join(protocols, []byte(", ")))
	}
	return append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
}

// open answers the client's handshake as the instance did, the first time.
func (t *tunnel) open(now int64, a *answer, piece []byte) error {
	if a.head.Status != 101 {
		return t.client.open(now, a, piece)
	}
	promised := append([]byte{}, a.head.Get(http1.SecWebSocketProtocol)...)
	promised = append(append(promised, '\n'), a.head.Get(http1.SecWebSocketExtensions)...)
	if t.accepted != nil {
		if bytes.Equal(t.accepted, promised) {
			return nil
		}
		t.lose()
		return errOtherTerms
	}
	t.mu.Lock()
	t.accepted = promised
	t.mu.Unlock()
	t.client.out = append(t.client.out[:0], "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"...)
	for i := range a.head.Headers {
		h := &a.head.Headers[i]
		if !h.HopByHop() && h.Kind != http1.XRequestID {
			t.client.out = http1.AppendHeader(t.client.out, h.Name, h.Value)
		}
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
	t.g.account.pause() // a drain does not wait for it
	t.hearing.Go(t.hear)
	return nil
}

var errOtherTerms = errors.New("another instance agreed on other protocols")

// through goes on where a handshake went well.
func (t *tunnel) through(up *engineConn, rest []byte, out outcome) outcome {
	switch {
	case t.isLost() && out.end == left:
		return outcome{end: cut, failure: scheduler.Closed, err: errOtherTerms}
	case t.req.status == 101 && out.end == ended:
		return t.pump(up, rest)
	}
	return out
}

// pump moves what the instance says until either end has ended, and says how it
// went: failed before the instance has said anything, another may take its place.
func (t *tunnel) pump(up *engineConn, rest []byte) outcome {
	t.attach(up.Conn)
	defer t.attach(nil)
	b := getBuffer(minBuffer)
	defer putBuffer(b)
	for piece := rest; ; {
		if len(piece) > 0 {
			t.spoke()
			if err := t.deliver(piece); err != nil {
				return outcome{end: left}
			}
		}
		if t.out.closing && t.closed() {
			return outcome{end: ended}
		}
		n, err := up.Conn.Read(b.b)
		piece = b.b[:n]
		if n > 0 || err == nil {
			continue
		}
		switch {
		case t.stop.Load() != stopNone, t.closed(), t.out.closing:
			return outcome{end: ended}
		case !t.hasAnswer():
			out := broke(err, false)
			if t.isLost() {
				out.end = cut
			}
			return out
		}
		out := broke(err, false)
		out.end = cut
		return out
	}
}

// attach makes a connection the instance's, and says there what the client has
// said already.
func (t *tunnel) attach(up net.Conn) {
	t.state.Lock()
	defer t.state.Unlock()
	t.up, t.moved = up, t.g.now()
	if up != nil && len(t.said) > 0 {
		up.SetWriteDeadline(time.Now().Add(t.g.cfg.Limits.StallTimeout))
		up.Write(t.said) // an error is read as the connection's end
	}
}

// spoke notes that the instance has said something: nothing is said again.
func (t *tunnel) spoke() {
	t.state.Lock()
	defer t.state.Unlock()
	t.answer, t.said = true, nil
}

// lose notes that no other instance may take this one's place.
func (t *tunnel) lose() {
	t.state.Lock()
	defer t.state.Unlock()
	t.lost, t.said = true, nil
}

func (t *tunnel) isLost() bool {
	t.state.Lock()
	defer t.state.Unlock()
	return t.lost
}

func (t *tunnel) hasAnswer() bool {
	t.state.Lock()
	defer t.state.Unlock()
	return t.answer
}

// closed says whether the client has left, or said goodbye.
func (t *tunnel) closed() bool {
	t.state.Lock()
	defer t.state.Unlock()
	return t.over
}

// deliver writes to the client what the instance said.
func (t *tunnel) deliver(p []byte) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.conn.SetWriteDeadline(time.Now().Add(t.g.cfg.Limits.StallTimeout))
	before := t.out.messages
	t.out.feed(p)
	_, err := t.conn.Write(p)
	t.g.sockets.out.Add(uint64(t.out.messages - before))
	t.note(t.out.messages > before || !t.out.between())
	return err
}

// note takes in whether what has passed is a sign of use: pings and pongs are not.
func (t *tunnel) note(used bool) {
	if used {
		t.state.Lock()
		t.moved = t.g.now()
		t.state.Unlock()
	}
}

// hear moves what the client says, and asks a silent one whether it is there.
func (t *tunnel) hear() {
	b := getBuffer(minBuffer)
	defer putBuffer(b)
	asked := false
	for {
		if !t.arm() {
			break
		}
		n, err := t.conn.Read(b.b)
		if n > 0 {
			asked = false
			before := t.in.messages
			t.in.feed(b.b[:n])
			t.g.sockets.in.Add(uint64(t.in.messages - before))
			used := t.in.messages > before || !t.in.between()
			t.note(used)
			t.forwardSaid(b.b[:n])
			if !used && t.idleTooLong() { // of pings and pongs alone it has no end
				break
			}
			continue
		}
		if !isTimeout(err) || t.stop.Load() != stopNone || asked || t.idleTooLong() {
			break
		}
		asked = true
		t.inject(controlFrame(opPing, nil))
	}
	t.state.Lock()
	defer t.state.Unlock()
	t.over = true
	if t.up != nil {
		t.up.SetReadDeadline(past)
	}
}

// arm bounds the next read by the next ping; false: the tunnel is to end.
func (t *tunnel) arm() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stop.Load() != stopNone {
		return false
	}
	t.conn.SetReadDeadline(time.Now().Add(t.g.pingEvery))
	return true
}

// idleTooLong says whether nothing has passed for websocket.idle_timeout.
func (t *tunnel) idleTooLong() bool {
	t.state.Lock()
	defer t.state.Unlock()
	limit := t.g.cfg.WebSocket.IdleTimeout
	t.idled = limit > 0 && t.g.now()-t.moved >= int64(limit)
	return t.idled
}

// forwardSaid gives the instance what the client said, and keeps it while it may
// have to be said again.
func (t *tunnel) forwardSaid(p []byte) {
	t.state.Lock()
	defer t.state.Unlock()
	if !t.answer {
		if len(t.said)+len(p) > mostSaid {
			t.lost = true
			t.said = nil
		} else if !t.lost {
			t.said = append(t.said, p...)
		}
	}
	if t.up != nil {
		t.up.SetWriteDeadline(time.Now().Add(t.g.cfg.Limits.StallTimeout))
		t.up.Write(p) // an error is read as the connection's end
	}
}

// inject sends a frame of the router's own, if no other is under way.
func (t *tunnel) inject(frame []byte) {
	t.writing.Lock()
	defer t.writing.Unlock()
	if t.out.between() && !t.out.closing {
		t.conn.SetWriteDeadline(time.Now().Add(lastWords))
		t.conn.Write(frame)
	}
}

// tell says goodbye with the refusal's reason, or refuses the handshake.
func (t *tunnel) tell(r *refusal) bool {
	if t.accepted == nil {
		return t.client.tell(r)
	}
	code := 1011
	if r.code == refuseNoInstance.code || r.reason == reasonQueueFull || r.reason == reasonQueueTimeout {
		code = 1013
	}
	t.goodbye(code, r.msg)
	return false
}

func (t *tunnel) goodbye(code int, why string) {
	if t.ended == 0 {
		t.ended = code
	}
	t.inject(closeFrame(code, why))
}

func (t *tunnel) cutShort(r *refusal) bool {
	t.req.refused = r
	return t.tell(r)
}

func (t *tunnel) keepsAlive() bool { return false }

// interrupted ends the tunnel: what is read is read no more.
func (t *tunnel) interrupted(why uint32) {
	t.conn.SetReadDeadline(past)
	if t.accepted == nil {
		t.client.interrupted(why)
	}
}

// end closes the client's side, and waits for who hears it.
func (t *tunnel) end() {
	if t.accepted == nil {
		return
	}
	t.g.account.resume()
	drained := t.stop.Load() == stopDrain
	t.interrupt(stopLeft)
	t.hearing.Wait() // from here on all is ours
	switch {
	case drained:
		t.goodbye(1001, "the router is shutting down")
	case t.idled:
		t.goodbye(1001, "nothing has passed for long (websocket.idle_timeout)")
	}
	code := t.ended
	switch {
	case code != 0:
	case t.in.closing:
		code = t.in.closeCode()
	case t.out.closing:
		code = t.out.closeCode()
	default:
		code = 1006
	}
	t.g.sockets.closed(code)
	t.conn.SetReadDeadline(time.Time{})
	t.lingers = t.out.closing || t.ended != 0
}
