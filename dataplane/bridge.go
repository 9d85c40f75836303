package dataplane

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"

	"penstock/dataplane/http1"
)

// bridge is a WebSocket whose messages are requests. Its client's goroutine
// reads; each request in flight has one of its own, which writes its answer.
// Those without an id are answered one after the other.
//
// It takes the connection over from its client, of which nothing is left: most
// WebSockets idle most of the time.
type bridge struct {
	g    *Gateway
	conn net.Conn
	ip   []byte
	ws   *websocket.Conn
	key  int
	pack bool   // permessage-deflate was agreed on
	head []byte // of each request, as if it had come by POST

	writing sync.Mutex // a message to the client is whole before the next begins

	mu      sync.Mutex
	stop    atomic.Uint32       // why the connection has to end; set under mu, with the deadlines
	running map[string]*message // by id; the last of their answers has not gone out
	line    []*message          // without one, in order, likewise; the first is under way
	ordered bool                // somebody answers the line
	active  int                 // goroutines of messages
	used    int64               // when there was last one, ns
	calls   sync.WaitGroup      // the same goroutines

	// The reader's own, in ns: a byte from the client, the last ping, and when the
	// message that comes in has to be there; 0: none does.
	heard, asked, due int64
}

const (
	// pingEvery is how often a silent client is asked whether it is there; who has
	// said nothing by the second time is not.
	pingEvery = 20 * time.Second
	// mostHeld is how many requests of a connection wait for their turn.
	mostHeld = 64
)

func newBridge(c *client) *bridge {
	now := c.g.now()
	return &bridge{g: c.g, conn: c.conn, ip: c.ip, key: c.req.keyIndex, head: c.req.asPost(), heard: now, asked: now, used: now}
}

// asPost is the head of the requests that come over the handshake's connection.
func (q *request) asPost() []byte {
	b := append([]byte("POST "), q.head.Path...)
	if len(q.head.Query) > 0 {
		b = append(append(b, '?'), q.head.Query...)
	}
	b = append(b, " HTTP/1.1\r\nContent-Type: application/json\r\n"...)
	for i := range q.head.Headers {
		h := &q.head.Headers[i]
		switch h.Kind {
		case http1.ContentType, http1.ContentLength, http1.Expect, http1.Origin, http1.XRequestID,
			http1.SecWebSocketExtensions, http1.SecWebSocketKey, http1.SecWebSocketProtocol, http1.SecWebSocketVersion:
			continue
		}
		if h.HopByHop() {
			continue
		}
		b = http1.AppendHeader(b, h.Name, h.Value)
	}
	if key := q.protocolKey(); key != nil && q.head.Get(http1.Authorization) == nil {
		b = http1.AppendHeader(b, []byte("Authorization"), append([]byte("Bearer "), key...))
	}
	return append(b, "\r\n"...)
}

// run reads until either side ends the connection.
func (b *bridge) run() {
	if why := b.g.sockets.add(b); why != stopNone { // while the handshake was answered
		b.interrupt(why)
	}
	code, why := websocket.CloseInternalServerErr, "the router failed"
	defer func() { b.end(code, why) }()
	defer b.g.survive()
	code, why = b.read()
}

// read takes messages until one of them, or their end, ends the connection.
func (b *bridge) read() (code int, why string) {
	b.ws.SetReadLimit(b.g.cfg.Limits.BodyBytes)
	for code == 0 {
		kind, r, err := b.ws.NextReader()
		if err != nil {
			return b.ended(err)
		}
		b.due = b.g.now() + int64(b.g.cfg.Limits.BodyTimeout)
		code, why = b.take(kind, r)
		b.due = 0
	}
	return code, why
}

// end closes the connection once nothing is under way on it.
func (b *bridge) end(code int, why string) {
	left := uint32(stopLeft)
	if b.stop.Load() == stopDrain {
		left = stopDrain
	}
	b.abandon(left)
	b.calls.Wait()
	b.g.sockets.closed(code)
	lingers := code != websocket.CloseAbnormalClosure && b.goodbye(code, why)
	b.g.sockets.remove(b)
	b.g.sockets.leave(b.key)
	if lingers { // for its answer
		linger(b.conn)
	}
	b.conn.Close()
}

// goodbye closes with a code, unless one side or the library has said so before.
func (b *bridge) goodbye(code int, why string) (heard bool) {
	err := b.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(lastWords))
	return err == nil || errors.Is(err, websocket.ErrCloseSent)
}

// interrupt ends the connection, whatever its goroutine is blocked in.
func (b *bridge) interrupt(why uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stop.CompareAndSwap(stopNone, why) {
		return
	}
	b.conn.SetReadDeadline(past)
	if why == stopLeft {
		b.conn.SetWriteDeadline(past)
	} else { // it is still told why, if it takes it
		b.conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
}

// ended says with which code the connection ends, and why, of an error of
// reading: 1006, that nobody is there to hear it.
func (b *bridge) ended(err error) (code int, why string) {
	var ce *websocket.CloseError
	var ne net.Error
	switch { // io.ErrUnexpectedEOF is compressed data's, the socket's is a CloseError
	case errors.As(err, &ce):
		return ce.Code, ""
	case b.stop.Load() == stopDrain:
		return websocket.CloseGoingAway, "the router is shutting down"
	case errors.Is(err, errIdle):
		return websocket.CloseGoingAway, "nothing was asked for long (websocket.idle_timeout)"
	case errors.Is(err, errSlow):
		return websocket.ClosePolicyViolation, "a message did not come whole in time (limits.body_timeout)"
	case errors.Is(err, websocket.ErrReadLimit), errors.Is(err, errInflated):
		return websocket.CloseMessageTooBig, "a message is larger than limits.body_bytes"
	case errors.As(err, &ne), errors.Is(err, io.EOF), errors.Is(err, errSilent), b.stop.Load() == stopLeft:
		return websocket.CloseAbnormalClosure, ""
	}
	return websocket.CloseProtocolError, ""
}

// take reads a message and sets about it; a code ends the connection.
func (b *bridge) take(kind int, r io.Reader) (code int, why string) {
	b.g.sockets.in.Inc()
	m := newMessage(b)
	if kind == websocket.BinaryMessage {
		if err := b.discard(r); err != nil {
			return b.ended(err)
		}
		m.answer(badRequest("", "a binary message: requests are text"))
		return 0, ""
	}
	switch err := m.read(r); {
	case err == errNoRoom:
		if err := b.discard(r); err != nil {
			return b.ended(err)
		}
		m.answer(refuseHeld)
		return 0, ""
	case err != nil:
		m.call.end()
		return b.ended(err)
	}
	if !utf8.Valid(m.req.body) {
		m.call.end()
		return websocket.CloseInvalidFramePayloadData, "a text message is not UTF-8"
	}
	if r := m.unwrap(); r != nil {
		m.answer(r)
		return 0, ""
	}
	if m.cancels {
		b.cancel(m)
		return 0, ""
	}
	if r := b.enter(m); r != nil {
		m.answer(r)
	}
	return 0, ""
}

// discard reads over a message that nobody wants, which may inflate to anything.
func (b *bridge) discard(r io.Reader) error {
	n, err := io.CopyN(io.Discard, r, b.g.cfg.Limits.BodyBytes+1)
	switch {
	case err == io.EOF:
		return nil
	case err == nil && n > 0:
		return errInflated
	}
	return err
}

// enter begins a request, or puts it behind those that come before it.
func (b *bridge) enter(m *message) *refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.id == nil {
		if len(b.line) >= mostHeld {
			return &refusal{status: 429, code: "queue_full", reason: reasonQueueFull, retry: 1, msg: "as many requests of this connection wait for their turn as may"}
		}
		if b.line = append(b.line, m); !b.ordered {
			b.ordered = true
			b.begin(b.inOrder)
		}
		return nil
	}
	if b.running[string(m.id)] != nil {
		return badRequest("id", "a request with this id is under way")
	}
	if most := b.g.cfg.WebSocket.Requests; len(b.running) >= most {
		return &refusal{status: 429, code: "rate_limited", reason: reasonRateLimited, retry: 1, msg: "as many requests of this connection are under way as may (websocket.requests)"}
	}
	if b.running == nil {
		b.running = make(map[string]*message)
	}
	b.running[string(m.id)] = m
	b.begin(func() {
		m.run()
		b.leave(m)
	})
	return nil
}

// begin gives messages a goroutine. With mu held.
func (b *bridge) begin(run func()) {
	b.active++
	b.calls.Go(func() {
		run()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.active--
		b.used = b.g.now()
	})
}

// inOrder answers those in line, until there is none.
func (b *bridge) inOrder() {
	for turn := int64(0); ; turn = b.g.now() {
		m := b.first()
		if m == nil {
			return
		}
		m.req.arrived = max(m.req.arrived, turn) // as of what is pipelined over HTTP
		m.run()
		b.leave(m)
	}
}

// first is whose turn it is; nil: nobody's, and who comes next has to begin anew.
func (b *bridge) first() *message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ordered = len(b.line) > 0; b.ordered {
		return b.line[0]
	}
	b.line = nil
	return nil
}

// leave makes m's place, and its id, free for the next.
func (b *bridge) leave(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case m.id != nil && b.running[string(m.id)] == m:
		delete(b.running, string(m.id))
	case m.id == nil && len(b.line) > 0 && b.line[0] == m:
		b.line[0] = nil
		b.line = b.line[1:]
	}
}

// cancel ends the request with the id of m.
func (b *bridge) cancel(m *message) {
	b.mu.Lock()
	victim := b.running[string(m.id)]
	b.mu.Unlock()
	if victim == nil {
		m.answer(badRequest("id", "no request with this id is under way"))
		return
	}
	m.call.end()
	victim.cancelled.Store(true)
	victim.interrupt(stopLeft)
}

// abandon ends all that is under way, and what waits for it.
func (b *bridge) abandon(why uint32) {
	b.mu.Lock()
	var all []*message
	all = append(all, b.line...)
	for _, m := range b.running {
		all = append(all, m)
	}
	b.mu.Unlock()
	for _, m := range all {
		m.interrupt(why)
	}
}

// idle says whether nothing is under way.
func (b *bridge) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.active == 0
}

// send writes a message of m's answer to the client. Who hears the last may send
// the next at once.
func (b *bridge) send(m *message, text []byte) error {
	const worthPacking = 1 << 10
	m.deadline.Store(0) // the write has its own
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	if m.said {
		b.leave(m)
	}
	write := b.write
	if b.pack && len(text) >= worthPacking {
		write = b.writePacked
	}
	if err := write(text); err != nil {
		return err
	}
	b.g.sockets.out.Inc()
	return nil
}

func (b *bridge) write(text []byte) error {
	b.ws.EnableWriteCompression(false)
	return b.ws.WriteMessage(websocket.TextMessage, text)
}

// writePacked compresses before it writes: a compressor has 800 KiB, which a client
// that does not read would hold.
func (b *bridge) writePacked(text []byte) error {
	m, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		return err
	}
	b.ws.EnableWriteCompression(true)
	return b.ws.WritePreparedMessage(m)
}

// bridgeConn is the connection as the library reads and writes it: it asks a
// silent client whether it is there, and sets deadlines where no interruption has
// set one; the library's own mean nothing.
type bridgeConn struct {
	net.Conn
	b *bridge
}

var (
	errSilent   = errors.New("the client does not answer")
	errSlow     = errors.New("a message takes too long to come")
	errIdle     = errors.New("nothing was asked for long")
	errInflated = errors.New("the message is larger than it may be")
	errNoRoom   = errors.New("as many request bytes are held as may be")
)

func (w *bridgeConn) SetDeadline(time.Time) error      { return nil }
func (w *bridgeConn) SetWriteDeadline(time.Time) error { return nil }

// Write gives a client that reads nothing limits.stall_timeout, whoever writes:
// the library answers pings by itself.
func (w *bridgeConn) Write(p []byte) (int, error) {
	if !w.b.mayWrite() {
		return 0, net.ErrClosed
	}
	n, err := w.Conn.Write(p)
	if err != nil { // who goes on to ask would never hear anything
		w.b.interrupt(stopLeft)
	}
	return n, err
}

func (b *bridge) mayWrite() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.stop.Load() {
	case stopLeft:
		return false
	case stopNone: // else lastWords is what there is
		b.conn.SetWriteDeadline(time.Now().Add(b.g.cfg.Limits.StallTimeout))
	}
	return true
}

func (w *bridgeConn) Read(p []byte) (int, error) {
	b := w.b
	for {
		if err := b.arm(); err != nil {
			return 0, err
		}
		n, err := w.Conn.Read(p)
		now := b.g.now()
		if n > 0 {
			b.heard = now
			return n, nil
		}
		if !isTimeout(err) || b.stop.Load() != stopNone {
			return n, err
		}
		if err := b.wonder(now); err != nil {
			return 0, err
		}
	}
}

// arm bounds the next read by the next ping; an error: the connection is to end.
func (b *bridge) arm() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, wait, limit := b.g.now(), b.g.pingEvery, b.g.cfg.WebSocket.IdleTimeout
	switch {
	case b.stop.Load() != stopNone:
		return net.ErrClosed
	case b.due > 0 && now >= b.due:
		return errSlow
	case b.due > 0:
		wait = min(wait, time.Duration(b.due-now))
	case limit > 0 && b.active == 0 && now-b.used >= int64(limit):
		return errIdle
	}
	b.conn.SetReadDeadline(time.Now().Add(wait))
	return nil
}

// wonder asks a client that has been silent whether it is there, unless it was
// asked in vain already.
func (b *bridge) wonder(now int64) error {
	if now-max(b.heard, b.asked) < int64(b.g.pingEvery) {
		return nil // it is a message's time that is over
	}
	if b.heard < b.asked {
		return errSilent
	}
	b.asked = now
	return b.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(b.g.cfg.Limits.StallTimeout))
}
