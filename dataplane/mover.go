package dataplane

import (
	"errors"
	"strconv"

	"penstock/dataplane/http1"
	"penstock/scheduler"
)

// mover performs one try: it writes the request to the engine, and moves the
// answer to the sink as it comes. It blocks the request's goroutine until the
// answer ended, whoever does the work meanwhile: this interface is where other
// ways to own the engine's socket (an epoll loop, the kernel) come in.
//
// A mover closes neither side. Whoever interrupts it does so by a deadline on
// the engine's connection, see client.interrupt.
type mover interface {
	move(t *attempt, to sink) outcome
}

// attempt is one try of a request.
type attempt struct {
	req  *request
	up   *engineConn
	head []byte // the request's head for this instance
	body []byte
	ans  answer
	rest []byte // of a tunnel, what came behind the handshake
	flow flow
}

// sink takes an answer. It gets the head once, together with the first of the
// body; until then another instance's answer may come instead.
type sink interface {
	// mayRetry says whether an engine's own 502, 503 or 504 may be kept back.
	mayRetry() bool
	// waits says that the mover is about to block on the engine; began: on
	// something that has begun to move, a large request or an answer.
	waits(now int64, began bool)
	// begin sends the head and the first piece.
	begin(now int64, a *answer, piece []byte) error
	// relay sends a further piece; an empty one only says that it was the last.
	relay(now int64, a *answer, piece []byte) error
	// complete says whether the answer, which nothing but the end of the
	// connection frames, looks whole.
	complete() bool
}

// answer is an engine's answer on its way: where its body ends, and what of
// the last piece is payload rather than framing.
type answer struct {
	head   http1.Response
	chunks http1.Chunks
	left   int64 // bytes missing of a body with Content-Length
	mode   framing
	done   bool
	parts  [][]byte // the payload of the last piece; points into it
	array  [4][]byte
}

// framing is how the end of a body is known.
type framing uint8

const (
	framedNone  framing = iota // there is no body
	framedSized                // Content-Length
	framedChunked
	framedClose // the connection's end
)

var errTrailing = errors.New("bytes after the end of the answer")

// frame reads from the head how the body is framed.
func (a *answer) frame() {
	a.done = false
	switch {
	case a.head.NoBody():
		a.mode, a.done = framedNone, true
	case a.head.Chunked:
		a.mode = framedChunked
		a.chunks.Reset()
	case a.head.ContentLength >= 0:
		a.mode, a.left = framedSized, a.head.ContentLength
		a.done = a.left == 0
	default:
		a.mode = framedClose
	}
}

// take goes over the next piece of the body and sets parts and done. n is how
// much of it belongs to the answer.
func (a *answer) take(piece []byte) (n int, err error) {
	a.parts = a.array[:0]
	switch a.mode {
	case framedChunked:
		for n < len(piece) && !a.chunks.Done() {
			data, k, err := a.chunks.Next(piece[n:])
			if err != nil {
				return n, err
			}
			if len(data) > 0 {
				a.parts = append(a.parts, data)
			}
			n += k
		}
		a.done = a.chunks.Done()
	case framedSized:
		n = int(min(int64(len(piece)), a.left))
		a.left -= int64(n)
		a.done = a.left == 0
		a.parts = append(a.parts, piece[:n])
	case framedClose:
		n = len(piece)
		a.parts = append(a.parts, piece)
	}
	if n < len(piece) {
		return n, errTrailing
	}
	return n, nil
}

// payload is the number of body bytes in the last piece.
func (a *answer) payload() (n int) {
	for _, p := range a.parts {
		n += len(p)
	}
	return n
}

// again says whether the engine's connection can carry another request.
func (a *answer) again() bool {
	return a.done && a.head.KeepAlive && a.mode != framedClose
}

// appendRequest writes the head that the engine gets. Hop-by-hop headers end
// here; the client's key goes on only where the configuration says so.
func (c *call) appendRequest(dst []byte, st *station) []byte {
	q := &c.req
	dst = append(dst, q.head.Method...)
	dst = append(dst, ' ')
	dst = append(dst, st.base...)
	dst = append(dst, q.path...)
	if len(q.head.Query) > 0 {
		dst = append(dst, '?')
		dst = append(dst, q.head.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = append(dst, st.fixed...)
	pass := !st.ownAuth && c.g.cfg.Auth.EngineKey == EngineKeyPassthrough
	for i := range q.head.Headers {
		h := &q.head.Headers[i]
		switch h.Kind {
		case http1.Host, http1.ContentLength, http1.Expect, http1.XRequestID, http1.XForwardedFor, http1.XForwardedProto:
			continue
		case http1.Authorization, http1.XAPIKey: // Anthropic's clients send the latter
			if !pass {
				continue
			}
		}
		if h.HopByHop() || h.Kind == http1.SecWebSocketProtocol && q.tunnel != nil {
			continue
		}
		dst = http1.AppendHeader(dst, h.Name, h.Value)
	}
	if q.tunnel != nil {
		dst = q.appendUpgrade(dst)
	}
	dst = c.appendForwarded(dst)
	dst = append(dst, "X-Request-Id: "...)
	dst = append(dst, q.id...)
	dst = append(dst, "\r\n"...)
	if len(q.body) > 0 || string(q.head.Method) == "POST" {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(q.body)), 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// appendForwarded adds this hop to what earlier proxies said.
func (c *call) appendForwarded(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	for i := range c.req.head.Headers {
		if h := &c.req.head.Headers[i]; h.Kind == http1.XForwardedFor {
			dst = append(dst, h.Value...)
			dst = append(dst, ", "...)
		}
	}
	dst = append(dst, c.ip...)
	dst = append(dst, "\r\nX-Forwarded-Proto: "...)
	if proto := c.req.head.Get(http1.XForwardedProto); len(proto) > 0 {
		dst = append(dst, proto...)
	} else {
		dst = append(dst, "http"...)
	}
	return append(dst, "\r\n"...)
}

// retryableStatus are an engine's own answers that another instance may better.
func retryableStatus(status int) bool { return status == 502 || status == 503 || status == 504 }

// broke makes an outcome of an error on the engine's side.
func broke(err error, silent bool) outcome {
	out := outcome{end: failed, silent: silent, err: err, failure: scheduler.Closed}
	var he *http1.Error
	switch {
	case errors.As(err, &he), errors.Is(err, errTrailing):
		out.failure, out.silent = scheduler.Protocol, false
	case isTimeout(err):
		out.failure, out.silent = scheduler.Timeout, false
		out.err = errors.New("no answer in time")
	case isReset(err):
		out.failure = scheduler.Reset
		out.err = errors.New("connection reset")
	default:
		out.err = errors.New("connection closed before the answer was whole")
	}
	return out
}
