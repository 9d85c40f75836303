package dataplane

import (
	"errors"
	"io"
	"strconv"

	"penstock/dataplane/body"
	"penstock/dataplane/http1"
)

// skipAtMost is how much of an unwanted body is read for the sake of keeping
// the connection.
const skipAtMost = 64 << 10

// readHead reads the next request's head. False ends the connection; what had
// to be said was said.
func (c *client) readHead() bool {
	q := &c.req
	if c.in == nil {
		c.in = getBuffer(minBuffer)
	}
	c.freshen()
	if c.r == c.w {
		c.r, c.w = 0, 0
		c.within(doingRead, c.g.cfg.Limits.IdleTimeout)
	}
	began := false // the head's own time runs from its first byte
	for {
		if c.w > c.r {
			if done, ok := c.parseHead(); done {
				return ok
			}
			if !began {
				began = true
				c.within(doingRead, c.g.cfg.Limits.HeaderTimeout)
			}
		}
		c.makeRoom()
		n, err := c.conn.Read(c.in.b[c.w:])
		c.w += n
		if err != nil && n == 0 {
			if q.arrived != 0 && c.expired.Load() {
				c.refuseHead(refuseSlowHead)
			}
			return false
		}
	}
}

// parseHead tries what has come in. done: the head is whole, or it never will
// be; ok: it is whole and right.
func (c *client) parseHead() (done, ok bool) {
	q := &c.req
	if q.arrived == 0 {
		q.arrived = c.g.now()
		c.equip()
	}
	n, err := q.head.Parse(c.in.b[c.r:c.w])
	limit := c.g.cfg.Limits.HeaderBytes
	switch {
	case err != nil:
		c.refuseHead(refuseHTTP(err))
		return true, false
	case n > limit, n == 0 && c.w-c.r >= limit:
		c.refuseHead(refuseLargeHead)
		return true, false
	case n == 0:
		return false, false
	}
	q.headAt = c.r
	c.r += n
	q.unread = max(q.head.ContentLength, 0)
	if q.head.Chunked {
		q.unread = -1
	}
	q.identify()
	return true, true
}

// refuseHead answers something that was no request: there is no route, no key
// and no next one.
func (c *client) refuseHead(r *refusal) {
	q := &c.req
	q.broken = true
	q.head.KeepAlive = false
	q.identify()
	if q.route == nil {
		q.route = c.g.routes.all[len(c.g.routes.all)-1]
	}
	c.g.account.begin()
	c.refuse(r)
	c.g.account.end(q)
}

// refuseHTTP says what a parser found wrong.
func refuseHTTP(err error) *refusal {
	var he *http1.Error
	if errors.As(err, &he) {
		return &refusal{status: he.Status, code: he.Code, reason: reasonBadRequest, msg: he.Msg}
	}
	return badRequest("", err.Error())
}

// makeRoom lets the next read have somewhere to go.
func (c *client) makeRoom() {
	if c.w < len(c.in.b) {
		return
	}
	if c.r > 0 {
		c.w = copy(c.in.b, c.in.b[c.r:c.w])
		c.r = 0
		return
	}
	larger := getBuffer(2 * len(c.in.b))
	copy(larger.b, c.in.b[:c.w])
	putBuffer(c.in)
	c.in = larger
}

// readBody makes the request's body one slice: where it lies already if it
// came with the head, else in pooled memory.
func (c *client) readBody() *refusal {
	q := &c.req
	if q.head.ExpectContinue && c.r == c.w && q.unread != 0 {
		if err := c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
			return c.lost(err)
		}
	}
	c.within(doingRead, c.g.cfg.Limits.BodyTimeout)
	var r *refusal
	if q.head.Chunked {
		r = c.readChunked()
	} else {
		r = c.readSized(int(q.unread))
	}
	c.deadline.Store(0)
	q.ready = c.g.now()
	return r
}

func (c *client) readSized(n int) *refusal {
	q := &c.req
	if c.w-c.r >= n {
		q.body = c.in.b[c.r : c.r+n : c.r+n]
		c.r += n
		q.unread = 0
		return nil
	}
	if r := c.growHold(0, max(min(n, firstHold), c.w-c.r)); r != nil {
		return r
	}
	have := copy(q.hold.b, c.in.b[c.r:c.w])
	c.r, c.w = 0, 0
	q.unread -= int64(have)
	for have < n {
		room := min(n, len(q.hold.b))
		if have == room {
			if r := c.growHold(have, min(n, 2*have)); r != nil {
				return r
			}
			continue
		}
		k, err := c.conn.Read(q.hold.b[have:room])
		have += k
		q.unread -= int64(k)
		if err != nil && have < n {
			return c.lost(err)
		}
	}
	q.body = q.hold.b[:n:n]
	return nil
}

// firstHold is what a body gets before its bytes come: what is promised alone
// must not use up what all may hold.
const firstHold = 256 << 10

// readChunked takes the chunks' framing away: an engine gets a Content-Length.
// The head stays where it is, for what points into it.
func (c *client) readChunked() *refusal {
	q := &c.req
	if r := c.keepHead(); r != nil {
		return r
	}
	body := c.r // where the framing is read to
	q.chunks.Reset()
	n := 0
	if r := c.growHold(0, minBuffer); r != nil {
		return r
	}
	for {
		for c.r < c.w && !q.chunks.Done() {
			data, k, err := q.chunks.Next(c.in.b[c.r:c.w])
			c.r += k
			if err != nil {
				q.broken = true
				return refuseHTTP(err)
			}
			if int64(n+len(data)) > c.g.cfg.Limits.BodyBytes {
				q.broken = true
				return c.tooLarge()
			}
			if r := c.growHold(n, n+len(data)); r != nil {
				q.broken = true
				return r
			}
			n += copy(q.hold.b[n:], data)
		}
		if q.chunks.Done() {
			q.body, q.unread = q.hold.b[:n], 0
			return nil
		}
		c.r, c.w = body, body
		k, err := c.conn.Read(c.in.b[body:])
		c.w += k
		if err != nil && k == 0 {
			return c.lost(err)
		}
	}
}

// keepHead makes sure of room behind the head. Where the buffer has to change,
// the head is read again in its new place.
func (c *client) keepHead() *refusal {
	q := &c.req
	if len(c.in.b)-c.r >= minBuffer/4 {
		return nil
	}
	larger := getBuffer(2 * len(c.in.b))
	c.w = copy(larger.b, c.in.b[q.headAt:c.w])
	putBuffer(c.in)
	c.in = larger
	q.head.Reset()
	n, err := q.head.Parse(larger.b[:c.w])
	if err != nil || n == 0 { // it was right before
		q.broken = true
		return refuseInternal
	}
	q.headAt, c.r = 0, n
	q.route, q.path = c.g.routes.find(q.head.Path)
	return nil
}

// growHold makes room for want bytes, have of which are there: twice as much
// as there are, so that a body that comes in pieces is not copied for each.
func (c *call) growHold(have, want int) *refusal {
	q := &c.req
	if q.hold != nil && want <= len(q.hold.b) {
		return nil
	}
	room := max(want, int(min(2*int64(have), c.g.cfg.Limits.BodyBytes)))
	if r := c.charge(int64(room) - q.held); r != nil {
		return r
	}
	larger := getBuffer(room)
	if have > 0 {
		copy(larger.b, q.hold.b[:have])
	}
	putBuffer(q.hold)
	q.hold = larger
	return nil
}

// charge counts n bytes against what all requests may hold.
func (c *call) charge(n int64) *refusal {
	if !c.g.held.take(n) {
		return refuseHeld
	}
	c.req.held += n
	return nil
}

// lost says why the client's socket gave no more of a body.
func (c *client) lost(err error) *refusal {
	c.req.broken = true
	switch {
	case c.expired.Load():
		return refuseSlowBody
	case c.stop.Load() == stopDrain:
		return refuseDraining
	}
	c.stop.CompareAndSwap(stopNone, stopLeft)
	if errors.Is(err, io.EOF) {
		return badRequest("", "the body ended before its Content-Length")
	}
	return badRequest("", "the body could not be read")
}

func (c *call) tooLarge() *refusal {
	return &refusal{status: 413, code: "body_too_large", reason: reasonTooLarge,
		msg: "the request's body is larger than limits.body_bytes (" + strconv.FormatInt(c.g.cfg.Limits.BodyBytes, 10) + ")"}
}

// skipBody reads over a body that nobody wants, so that the next request of
// the connection can be found. False: too much, or it is not to be found.
func (c *client) skipBody() bool {
	q := &c.req
	if q.unread < 0 || q.unread > skipAtMost || q.unread > 0 && q.head.ExpectContinue {
		return false
	}
	have := min(int64(c.w-c.r), q.unread)
	c.r += int(have)
	q.unread -= have
	c.within(doingRead, c.g.cfg.Limits.BodyTimeout)
	for q.unread > 0 {
		n, err := c.conn.Read(c.in.b[:min(int64(len(c.in.b)), q.unread)])
		q.unread -= int64(n)
		if err != nil {
			return false
		}
		c.r, c.w = 0, 0
	}
	return true
}

// understand reads from the body what routing needs.
func (c *call) understand() *refusal {
	q := &c.req
	q.fields = body.Fields{MaxTokens: -1, N: 1}
	switch q.route.kind {
	case routeForm:
		if model, ok := body.MultipartModel(q.head.Get(http1.ContentType), q.body); ok {
			q.fields.Model, q.fields.HasModel = model, true
		}
		if q.key.limited() && !body.MultipartSeen(q.head.Get(http1.ContentType), q.body) {
			return &refusal{status: 403, code: "model_not_allowed", reason: reasonForbidden, param: "model",
				msg: "this API key may use some models only: the form's fields must come before its file, within 64 KiB"}
		}
	case routeJSON:
		if err := c.scratch.scan.Scan(q.body, &q.fields); err != nil {
			return refuseJSON(err)
		}
	case routeOpaque:
		// What this is, only the engine knows: a model is taken where there is one.
		if len(q.body) > 0 && c.scratch.scan.Scan(q.body, &q.fields) != nil {
			q.fields = body.Fields{MaxTokens: -1, N: 1}
		}
	}
	if !q.key.permits(q.fields.Model) {
		return &refusal{status: 403, code: "model_not_allowed", reason: reasonForbidden, param: "model",
			msg: "this API key may not use the model `" + clip(q.fields.Model) + "`"}
	}
	return nil
}

func refuseJSON(err error) *refusal {
	var be *body.Error
	if errors.As(err, &be) {
		return badRequest(be.Param, "the body is not what it should be: "+be.Error())
	}
	return badRequest("", err.Error())
}
