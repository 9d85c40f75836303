package dataplane

import (
	"bytes"
	"net"
	"strconv"

	"penstock/dataplane/http1"
)

// The call is the sink of an answer: it takes in what the account and the
// scheduler want to know, and gives the rest to its transport. The client is that
// of HTTP: bytes as the engine framed them.

// mayRetry says whether another instance may still answer this request.
func (c *call) mayRetry() bool {
	return c.req.tries <= c.g.cfg.Retry.Count && c.req.deaths < 2
}

func (c *call) waits(now int64, began bool) {
	limit := c.g.cfg.ResponseTimeout
	switch {
	case began:
		limit = c.g.cfg.Limits.StallTimeout
	case c.req.tunnel != nil && limit == 0: // a handshake computes nothing
		limit = c.g.cfg.Limits.HeaderTimeout
	}
	c.withinAt(now, doingEngine, limit)
}

func (c *call) complete() bool { return !c.att.ans.head.EventStream || c.req.meter.finished }

// begin takes in an answer's head with the first piece of its body, and lets go
// of the request's own bytes: nothing can be retried any more.
func (c *call) begin(now int64, a *answer, piece []byte) error {
	q := &c.req
	q.meter.begin(now, a)
	q.meter.see(a)
	c.own(a)
	c.answered()
	q.started, q.status, c.att.body = true, a.head.Status, nil
	if a.head.Status == 404 { // it may not serve the model any more
		q.decision.Instance.AskModels()
	}
	switch { // no time to learn from
	case a.head.Status == 101:
		q.decision.Reservation.Opened(now)
	case a.head.Status >= 300:
		q.decision.Reservation.Forget()
	}
	q.hasBegun(now)
	q.decision.Reservation.Moved(len(piece), now)
	return c.to.open(now, a, piece)
}

// hasBegun tells the scheduler of the first token, when it has come.
func (q *request) hasBegun(now int64) {
	if q.meter.begun() || q.status >= 300 {
		q.decision.Reservation.FirstByte(now)
	}
}

// relay takes in a further piece of the body; an empty one is its end.
func (c *call) relay(now int64, a *answer, piece []byte) error {
	q := &c.req
	if len(piece) > 0 {
		c.g.account.nextBytes(q, now)
		q.decision.Reservation.Moved(len(piece), now)
	}
	if q.meter.see(a) {
		q.meter.last = now
		q.hasBegun(now)
		q.decision.Reservation.Tokens(q.meter.batch(), now)
	}
	return c.to.pass(now, a, piece)
}

// open sends the head with the first piece.
func (c *client) open(now int64, a *answer, piece []byte) error {
	q := &c.req
	c.g.account.firstByte(q, now)
	c.bye = !q.head.KeepAlive || c.g.Draining() || a.mode == framedClose || a.mode == framedChunked && q.minor() == 0
	c.out = c.appendAnswer(c.out[:0], a)
	c.settleWith(a)
	q.release(c.g)
	if c.r == c.w && c.in != nil {
		putBuffer(c.in)
		c.in = nil
	}
	if len(piece) > inlineBody && (a.mode != framedChunked || q.minor() == 1) {
		both := net.Buffers{c.out, piece}
		c.withinAt(now, doingWrite, c.g.cfg.Limits.StallTimeout)
		_, err := both.WriteTo(c.conn)
		return err
	}
	err := c.send(now, a, piece)
	if a.head.EventStream {
		c.shed()
	}
	return err
}

func (c *client) pass(now int64, a *answer, piece []byte) error {
	c.settleWith(a)
	c.out = c.out[:0]
	return c.send(now, a, piece)
}

// settleWith settles with the piece that ends the answer, or what a client
// takes for its end.
func (c *call) settleWith(a *answer) {
	if a.done || c.req.meter.done {
		c.settle()
	}
}

// send writes what is in out and then the piece. A client of HTTP/1.0 gets the
// payload without the chunks around it.
func (c *client) send(now int64, a *answer, piece []byte) error {
	c.withinAt(now, doingWrite, c.g.cfg.Limits.StallTimeout)
	if a.mode == framedChunked && c.req.minor() == 0 {
		c.out = append(c.out, bytes.Join(a.parts, nil)...)
		piece = nil
	}
	if len(c.out) > 0 {
		c.out = append(c.out, piece...)
		piece = c.out
	}
	if len(piece) == 0 {
		return nil
	}
	_, err := c.conn.Write(piece)
	return err
}

// appendAnswer writes the head of an engine's answer as the client gets it.
func (c *client) appendAnswer(dst []byte, a *answer) []byte {
	q := &c.req
	dst = append(dst, "HTTP/1."...)
	dst = append(dst, byte('0'+q.minor()), ' ')
	dst = strconv.AppendInt(dst, int64(a.head.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, a.head.Reason...)
	dst = append(dst, "\r\n"...)
	for i := range a.head.Headers {
		h := &a.head.Headers[i]
		if h.HopByHop() || h.Kind == http1.XRequestID {
			continue
		}
		dst = http1.AppendHeader(dst, h.Name, h.Value)
	}
	if a.mode == framedChunked && q.minor() == 1 {
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	dst = append(dst, "X-Request-Id: "...)
	dst = append(dst, q.id...)
	dst = append(dst, "\r\n"...)
	dst = c.appendDecision(dst)
	if l := q.claim.on; l != nil {
		dst = l.appendTo(dst, c.g.now())
	}
	dst = appendConnection(dst, q.minor(), c.bye)
	return append(dst, "\r\n"...)
}

// appendDecision says why this instance, to whoever may ask and did.
func (c *call) appendDecision(dst []byte) []byte {
	q := &c.req
	if string(q.head.Get(http1.XPenstockExplain)) != "1" || !(c.g.keys.open() || q.key != nil && q.key.Explain) {
		return dst
	}
	d := &q.decision
	dst = append(dst, "X-Penstock-Decision: instance="...)
	dst = append(dst, d.Instance.Name...)
	dst = append(dst, "; policy="...)
	dst = append(dst, d.Policy...)
	dst = append(dst, "; reason="...)
	dst = append(dst, d.Reason...)
	dst = append(dst, "; degraded="...)
	if d.Degraded == "" {
		dst = append(dst, "none"...)
	}
	dst = append(dst, d.Degraded...)
	dst = append(dst, "; predicted_ttft_ms="...)
	dst = strconv.AppendFloat(dst, d.TTFT*1e3, 'f', 1, 64)
	dst = append(dst, "; pending_ms="...)
	dst = strconv.AppendInt(dst, q.pending/1e6, 10)
	return append(dst, "\r\n"...)
}

// keepsAlive says whether the next request may follow on the connection.
func (c *client) keepsAlive() bool { return !c.bye }

// answerStashed passes on an engine's own error answer that was kept back. r
// is told if it cannot be read again.
func (c *call) answerStashed(r *refusal) (again bool) {
	q, a := &c.req, &c.att.ans
	raw := q.stash
	q.stash = nil // begin releases what the request holds
	defer putBuffer(raw)
	a.head.Reset()
	n, err := a.head.Parse(raw.b[:q.stashed])
	if err != nil || n == 0 {
		return c.refuse(r)
	}
	a.frame()
	k, _ := a.take(raw.b[n:q.stashed])
	a.done = true
	if c.begin(c.g.now(), a, raw.b[n:n+k]) != nil {
		return false
	}
	return c.to.keepsAlive()
}
