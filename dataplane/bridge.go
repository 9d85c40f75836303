package dataplane

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
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
	leaving bool                // it ends: what is still written has lastWords
	running map[string]*message // by id; the last of their answers has not gone out
	line    []*message          // without one, in order, likewise; the first is under way
	ordered bool                // somebody answers the line
	active  int                 // goroutines of messages
	used    int64               // when there was last one, ns
	wakes   int64               // when the reader looks, likewise
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
		if h.HopByHop() || ofAGet(h.Name) {
			continue
		}
		b = http1.AppendHeader(b, h.Name, h.Value)
	}
	if key := q.protocolKey(); key != nil && q.head.Get(http1.Authorization) == nil {
		b = http1.AppendHeader(b, []byte("Authorization"), append([]byte("Bearer "), key...))
	}
	return append(b, "\r\n"...)
}

// ofAGet says whether a header would change the answers to what is no GET of the
// browser's: no message can be compressed by HTTP, or be a part of one.
func ofAGet(name []byte) bool {
	return slices.ContainsFunc([]string{"Accept-Encoding", "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"},
		func(n string) bool { return strings.EqualFold(n, string(name)) })
}

// run reads until either side ends the connection.
func (b *bridge) run() {
	if why := b.g.sockets.add(b); why != stopNone { // while the handshake was answered
		b.interrupt(why)
	}
	code, why, lingers := websocket.CloseInternalServerErr, "the router failed", false
	defer func() { b.close(lingers) }()
	defer b.g.survive()
	defer func() { lingers = b.end(code, why) }()
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

// end says goodbye once nothing is under way on the connection, and whether the
// client may have a word to say to that.
func (b *bridge) end(code int, why string) (lingers bool) {
	left := uint32(stopLeft)
	if b.stop.Load() == stopDrain {
		left = stopDrain
	}
	b.abandon(left)
	b.hurry(code)
	b.calls.Wait()
	b.g.sockets.bridges.closed(code)
	return code != websocket.CloseAbnormalClosure && b.goodbye(code, why)
}

// close gives the connection up.
func (b *bridge) close(lingers bool) {
	b.g.sockets.remove(b)
	b.g.sockets.leave(&b.g.sockets.bridges, b.key)
	if lingers {
		linger(b.conn, mostUnread)
	}
	b.conn.Close()
}

// hurry lets no answer wait for a client that has left, and none for long for one
// that is leaving.
func (b *bridge) hurry(code int) {
	if code == websocket.CloseAbnormalClosure {
		b.interrupt(stopLeft)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaving = true
	b.conn.SetWriteDeadline(time.Now().Add(lastWords))
}

// goodbye closes with a code, unless one side or the library has said so before.
func (b *bridge) goodbye(code int, why string) (heard bool) {
	err := b.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, why), time.Now().Add(lastWords))
	return err == nil || errors.Is(err, websocket.ErrCloseSent)
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
	case errors.Is(err, errNoText):
		return websocket.CloseInvalidFramePayloadData, "a text message is not UTF-8"
	case errors.As(err, &ne), errors.Is(err, io.EOF), errors.Is(err, errSilent), b.stop.Load() == stopLeft:
		return websocket.CloseAbnormalClosure, ""
	}
	return websocket.CloseProtocolError, ""
}

// take reads a message and sets about it; a code ends the connection.
func (b *bridge) take(kind int, r io.Reader) (code int, why string) {
	b.g.sockets.bridges.in.Inc()
	m := newMessage(b)
	ours := true
	defer func() {
		if ours { // whatever ends it
			m.call.end()
		}
	}()
	if kind == websocket.BinaryMessage {
		if err := b.discard(r); err != nil {
			return b.ended(err)
		}
		m.answer(badRequest("", "a binary message: requests are text"))
		return 0, ""
	}
	switch err := m.read(r); {
	case err == errNoRoom:
		m.req.release(b.g)
		if err := b.discard(r); err != nil {
			return b.ended(err)
		}
		m.answer(refuseHeld)
		return 0, ""
	case err != nil:
		return b.ended(err)
	}
	if r := m.unwrap(); r != nil {
		m.answer(r)
		return 0, ""
	}
	if ours = false; m.cancels {
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
	b.g.sockets.bridges.out.Inc()
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
