package dataplane

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"penstock/dataplane/http1"
	"penstock/scheduler"
)

// copyMover moves an answer on the request's own goroutine: read what has come,
// write it on, in one write however much it is. Back-pressure is the client's
// socket: while it takes nothing, nothing is read from the engine.
type copyMover struct{ g *Gateway }

// stashMost is how much of an engine's own error answer is kept for the case
// that no other instance does better.
const stashMost = 64 << 10

// inlineBody is how large a body may be to be copied behind its head for the
// sake of a single write.
const inlineBody = 8 << 10

func (m copyMover) move(t *attempt, to sink) outcome {
	// A large body that the engine does not take must not hang for ever; what
	// fits in the socket's buffer cannot.
	large := len(t.body) > inlineBody
	to.waits(m.g.now(), large)
	// An engine that answers before it has read everything (413, 401) resets
	// the connection: its answer may still be there to read.
	if err := t.send(); err != nil && !isReset(err) {
		return broke(err, true)
	}
	if large {
		to.waits(m.g.now(), false)
	}
	in := getBuffer(minBuffer)
	defer func() { putBuffer(in) }()
	n, w, err := m.readHead(t, in)
	if err != nil {
		return broke(err, w == 0)
	}
	if retryableStatus(t.ans.head.Status) && to.mayRetry() {
		to.waits(m.g.now(), true)
		return m.keepBack(t, in.b[:w], n)
	}
	return m.relay(t, &in, n, w, to)
}

// send writes the request: head and body in one write where a copy is cheap,
// else gathered.
func (t *attempt) send() error {
	if len(t.body) <= inlineBody {
		both := getBuffer(len(t.head) + len(t.body))
		defer putBuffer(both)
		n := copy(both.b, t.head)
		n += copy(both.b[n:], t.body)
		_, err := t.up.Write(both.b[:n])
		return err
	}
	both := net.Buffers{t.head, t.body}
	_, err := both.WriteTo(t.up.Conn)
	return err
}

// readHead reads the answer's head, past any 1xx. in.b[n:w] is what came of
// the body with it; w is 0 when nothing came at all.
func (m copyMover) readHead(t *attempt, in *buffer) (n, w int, err error) {
	a, interim := &t.ans, 0
	a.head.Reset()
	for {
		if w == len(in.b) {
			if w >= m.g.cfg.Limits.HeaderBytes {
				return 0, w, errLargeHead
			}
			larger := getBuffer(2 * w)
			copy(larger.b, in.b)
			in.b, larger.b = larger.b, in.b
			putBuffer(larger)
		}
		k, err := t.up.Read(in.b[w:])
		w += k
		if k > 0 {
			n, perr := a.head.Parse(in.b[:w])
			for perr == nil && n > 0 && a.head.Status < 200 {
				if interim++; a.head.Status == 101 || interim > mostInterim {
					return 0, w, errInterim
				}
				w = copy(in.b, in.b[n:w])
				a.head.Reset()
				n, perr = a.head.Parse(in.b[:w])
			}
			if perr != nil || n > 0 {
				a.frame()
				return n, w, perr
			}
		}
		if err != nil {
			return 0, w, err
		}
	}
}

// relay moves the answer on to its end; in.b[pos:w] of its body is there. The
// head is held until the first of the payload, or the end, has come (or there
// is no room left): until then another instance may answer.
func (m copyMover) relay(t *attempt, in **buffer, pos, w int, to sink) outcome {
	a, unsent, began := &t.ans, pos, false
	for {
		n, err := a.take((*in).b[pos:w])
		pos += n
		if err != nil && !a.done {
			if began && pos > unsent && to.relay(m.g.now(), a, (*in).b[unsent:pos]) != nil {
				return outcome{end: left} // what was good is the client's
			}
			return m.cut(err, began)
		}
		if began || a.done || a.payload() > 0 || pos == len((*in).b) {
			pass := to.relay
			if !began {
				pass = to.begin
			}
			if pass(m.g.now(), a, (*in).b[unsent:pos]) != nil {
				return outcome{end: left}
			}
			began, unsent, pos = true, 0, 0
		}
		if a.done {
			return outcome{end: ended, keep: a.again() && err == nil}
		}
		if pos == 0 {
			*in = fit(*in, n)
		}
		to.waits(m.g.now(), began)
		r, err := t.up.Read((*in).b[pos:])
		if r == 0 && err != nil {
			return m.over(err, began, t, to)
		}
		w = pos + r
	}
}

// mostInterim is how many 1xx may come before the answer.
const mostInterim = 8

var errLargeHead = &http1.Error{Msg: "the answer's headers are larger than limits.header_bytes"}

var errInterim = &http1.Error{Msg: "an interim answer that nobody asked for"}

// over deals with the end of the engine's side of the connection.
func (m copyMover) over(err error, began bool, t *attempt, to sink) outcome {
	if errors.Is(err, io.EOF) && t.ans.mode == framedClose && to.complete() {
		t.ans.done = true
		if !began && to.begin(m.g.now(), &t.ans, nil) != nil {
			return outcome{end: left}
		}
		return outcome{end: ended}
	}
	return m.cut(err, began)
}

func (m copyMover) cut(err error, began bool) outcome {
	out := broke(err, false)
	if began {
		out.end = cut
	}
	return out
}

// keepBack reads an engine's own error answer whole and keeps it, so that it
// can be passed on if no other instance has a better one. have is what came of
// it, n the length of its head.
func (m copyMover) keepBack(t *attempt, have []byte, n int) outcome {
	a := &t.ans
	out := outcome{end: failed, failure: scheduler.BadStatus, err: fmt.Errorf("it answered %d", a.head.Status)}
	if len(have) > stashMost {
		return out
	}
	raw := getBuffer(stashMost)
	size := copy(raw.b, have)
	_, err := a.take(raw.b[n:size])
	for !a.done && err == nil && size < len(raw.b) {
		var k int
		k, err = t.up.Read(raw.b[size:])
		if k > 0 {
			_, err = a.take(raw.b[size : size+k])
			size += k
		}
	}
	if !a.done && a.mode == framedClose && errors.Is(err, io.EOF) {
		a.done = true
	}
	if !a.done || err != nil && !errors.Is(err, io.EOF) {
		putBuffer(raw)
		return out
	}
	putBuffer(t.req.stash)
	t.req.stash, t.req.stashed = raw, size
	out.keep = a.again()
	return out
}

// fit chooses the buffer for the next read by the size of the last piece: a
// stream of tokens lives in a small one, a large body moves in few calls.
func fit(in *buffer, last int) *buffer {
	switch {
	case last == len(in.b) && len(in.b) < relayLarge:
		putBuffer(in)
		return getBuffer(relayLarge)
	case last < minBuffer/2 && len(in.b) > minBuffer:
		putBuffer(in)
		return getBuffer(minBuffer)
	}
	return in
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func isReset(err error) bool {
	return isErrno(err, syscall.ECONNRESET) || isErrno(err, syscall.EPIPE)
}

func isErrno(err error, want syscall.Errno) bool { return errors.Is(err, want) }
