package dataplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sync/atomic"

	"penstock/dataplane/partial"
)

// message is a request that came as a WebSocket's message, and the transport of
// its answer: a message for each event's data, or one for an answer in one
// piece; [DONE] last, or an error.
type message struct {
	call
	b    *bridge
	id   []byte // in JSON, as the client wrote it; nil: none
	name string // what that says: it may be written in several ways

	cancels   bool        // it is no request, but the end of one
	cancelled atomic.Bool // by the client

	text   []byte // of a message in its envelope
	events events
	whole  []byte // of an answer in one piece
	failed bool   // the engine's own status is an error
	said   bool   // [DONE], or an error, which goes out now or has: nothing may follow
}

func newMessage(b *bridge) *message {
	m := &message{b: b}
	m.g, m.to, m.ip = b.g, m, b.ip
	m.req.arrived = m.g.now()
	return m
}

// read takes the message in. One that is too large, once inflated too, ends the
// connection, and so does one that is no text, as soon as no end makes it one.
func (m *message) read(r io.Reader) error {
	q := &m.req
	n, whole := 0, 0
	for {
		if q.hold == nil || n == len(q.hold.b) {
			if int64(n) > m.g.cfg.Limits.BodyBytes {
				return errInflated
			}
			if m.growHold(n, max(n+1, minBuffer)) != nil {
				return errNoRoom
			}
		}
		k, err := r.Read(q.hold.b[n:])
		n += k
		characters, ok := partial.UTF8(q.hold.b[whole:n])
		whole += characters
		if !ok || (err == io.EOF && whole < n) {
			return errNoText
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if int64(n) > m.g.cfg.Limits.BodyBytes {
		return errInflated
	}
	q.body = q.hold.b[:n:n]
	return nil
}

// unwrap reads the envelope, if the message has one: {"id": …, "request": {…}} or
// {"id": …, "cancel": true}. No request of OpenAI's begins with one of these.
func (m *message) unwrap() *refusal {
	if !enveloped(m.req.body) {
		return nil
	}
	var e struct {
		ID      json.RawMessage `json:"id"`
		Request json.RawMessage `json:"request"`
		Cancel  bool            `json:"cancel"`
	}
	if err := json.Unmarshal(m.req.body, &e); err != nil {
		return badRequest("", "the envelope is not what it should be: "+err.Error())
	}
	const most = 128
	if e.ID == nil && e.Cancel {
		return badRequest("id", "only a request with an id can be cancelled, by that; the others end with the connection")
	}
	if json.Unmarshal(e.ID, &m.name) != nil || m.name == "" || len(e.ID) > most {
		return badRequest("id", `"id" has to be a string of 1 to 126 characters`)
	}
	m.id = e.ID
	if m.cancels = e.Cancel; m.cancels {
		return nil
	}
	if len(e.Request) == 0 || e.Request[0] != '{' {
		return badRequest("request", `"request" has to be an object, the request's body: {"id": …, "request": {"model": …}}`)
	}
	m.req.body = m.req.body[:copy(m.req.body, e.Request)]
	return nil
}

// enveloped says whether a message's first key is one of an envelope.
func enveloped(text []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return ok && (bytes.HasPrefix(rest, []byte(`"id"`)) || bytes.HasPrefix(rest, []byte(`"request"`)) || bytes.HasPrefix(rest, []byte(`"cancel"`)))
}

// run answers the message.
func (m *message) run() {
	q := &m.req
	switch { // while it waited for its turn
	case m.cancelled.Load():
		m.answer(refuseCancelled)
		return
	case m.stop.Load() == stopLeft:
		m.call.end()
		return
	}
	if why := m.g.calls.add(&m.call); why != stopNone {
		m.interrupt(why)
	}
	defer m.g.calls.remove(&m.call)
	m.serveAs(func() bool {
		if r := m.admit(); r != nil {
			return m.refuse(r)
		}
		q.ready = m.g.now()
		return m.call.serve()
	})
}

// answer refuses what is no request that could be served.
func (m *message) answer(r *refusal) {
	m.serveAs(func() bool {
		m.req.route, m.req.path = m.g.routes.find(m.req.head.Path)
		m.req.keyIndex = m.b.key // the handshake's: it is whose refusals these are
		if limit := m.enter(); limit != nil {
			return m.refuse(limit)
		}
		return m.refuse(r)
	})
}

// serveAs runs what serves the request, between what every request has at its
// beginning and its end.
func (m *message) serveAs(serve func() bool) {
	q := &m.req
	m.equip()
	defer m.shed()
	defer m.call.end()
	defer q.blocks.put()
	if n, err := q.head.Parse(m.b.head); err != nil || n == 0 { // it was right at the handshake
		return
	}
	q.identify()
	m.g.account.begin()
	defer m.g.account.end(q)
	defer m.settle()
	defer m.lastWord()
	defer m.recovered()
	serve()
}

// lastWord ends the answer, however it went: a client that may go on asking waits
// for that.
func (m *message) lastWord() {
	switch {
	case m.cancelled.Load():
		m.finish(refuseCancelled)
	case m.stop.Load() != stopLeft:
		m.finish(refuseInternal)
	}
}

var (
	refuseCancelled = &refusal{status: 499, code: "cancelled", reason: reasonClientGone, msg: "the request was cancelled"}

	refuseLargeAnswer = &refusal{status: 502, code: "instance_failed", reason: reasonInstanceFailed,
		msg: "the instance's answer, or an event of it, is larger than limits.body_bytes"}
)

func (m *message) tell(r *refusal) bool { return m.finish(r) == nil }

// finish sends an error as the last message of the request.
func (m *message) finish(r *refusal) error {
	if m.said {
		return nil
	}
	m.settle()
	return m.fail(r.message(string(m.req.id)))
}

// fail sends {"error": …}, the request's last message.
func (m *message) fail(text []byte) error {
	m.said = true
	if m.id == nil {
		return m.b.send(m, text)
	}
	m.text = append(m.envelope(), text[1:]...) // less its {
	return m.b.send(m, m.text)
}

// envelope is the beginning of what a request with an id is told.
func (m *message) envelope() []byte {
	return append(append(append(m.text[:0], `{"id":`...), m.id...), ',')
}

// send sends a message of the answer, within the envelope if the request had one.
func (m *message) send(text []byte) error {
	if m.id == nil {
		return m.b.send(m, text)
	}
	m.text = append(m.envelope(), `"data":`...)
	if json.Valid(text) {
		m.text = append(m.text, text...)
	} else {
		quoted, err := json.Marshal(string(text))
		if err != nil { // strings always marshal
			return err
		}
		m.text = append(m.text, quoted...)
	}
	m.text = append(m.text, '}')
	return m.b.send(m, m.text)
}

// The transport of an engine's answer.

func (m *message) open(now int64, a *answer, piece []byte) error {
	m.g.account.firstByte(&m.req, now)
	m.failed = a.head.Status >= 300
	m.req.release(m.g)
	if a.head.EventStream {
		m.shed()
	}
	return m.pass(now, a, piece)
}

// pass gives the client what has come whole: events as they come, anything else
// at its end.
func (m *message) pass(_ int64, a *answer, _ []byte) error {
	m.settleWith(a)
	for _, p := range a.parts {
		err := m.take(a, p)
		if errors.Is(err, errLargeEvent) {
			m.req.refused = refuseLargeAnswer
			m.finish(refuseLargeAnswer)
		}
		if err != nil {
			return err
		}
	}
	if !a.done {
		return nil
	}
	return m.conclude(a)
}

func (m *message) take(a *answer, p []byte) error {
	if a.head.EventStream && !m.failed {
		return m.events.feed(p, int(m.g.cfg.Limits.BodyBytes), m.event)
	}
	if len(m.whole)+len(p) > int(m.g.cfg.Limits.BodyBytes) {
		return errLargeEvent
	}
	m.whole = append(m.whole, p...)
	return nil
}

// event sends what one had to say.
func (m *message) event(data []byte) error {
	if m.said {
		return nil
	}
	if code := failureOf(data); code != 0 {
		return m.fail(engineError(data, code, string(m.req.id)))
	}
	m.said = string(data) == "[DONE]"
	return m.send(data)
}

// conclude sends what is left at the end of an answer, and that it is the end.
func (m *message) conclude(a *answer) error {
	if m.failed {
		return m.fail(engineError(m.whole, a.head.Status, string(m.req.id)))
	}
	if a.head.EventStream {
		if err := m.events.flush(m.event); err != nil {
			return err
		}
	} else if err := m.send(m.whole); err != nil {
		return err
	}
	return m.event([]byte("[DONE]"))
}

func (m *message) cutShort(r *refusal) bool {
	if m.req.meter.done { // it is all there, if only just
		return m.event([]byte("[DONE]")) == nil
	}
	m.req.refused = r
	return m.finish(r) == nil
}

func (m *message) keepsAlive() bool { return true }

func (m *message) late(uint32) {} // whoever writes has a deadline of his own

func (m *message) interrupted(uint32) {} // the connection is others' too
