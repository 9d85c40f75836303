package dataplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"penstock/dataplane/http1"
	"penstock/scheduler"
)

// flow is one try on its way: what copyMover does whenever the engine's socket
// has something. It runs inside a single RawConn.Read, which waits for the next
// edge of Go's poller: between two edges a stream holds no buffer, and after a
// read that came short there is none that only learns that nothing is left.
type flow struct {
	g    *Gateway
	t    *attempt
	to   sink
	step func(fd uintptr) bool // ready, bound once

	sent, headed, began bool
	kept                bool // an error answer that another instance may better
	interim             int

	in             *buffer // in.b[pos:w] has come in; nil while there is nothing
	size           int     // of the next in
	unsent, pos, w int
	out            outcome
}

// begin gets ready for a try.
func (f *flow) begin(g *Gateway, t *attempt, to sink) {
	if f.step == nil {
		f.step = f.ready
	}
	*f = flow{g: g, t: t, to: to, step: f.step, size: minBuffer}
	t.ans.head.Reset()
	// A large body that the engine does not take must not hang for ever; what
	// fits in the socket's buffer cannot.
	to.waits(g.now(), len(t.body) > inlineBody)
}

// run moves the request out and the answer back.
func (f *flow) run() outcome {
	up := f.t.up
	err := up.raw.Read(f.step)
	if err != nil && f.sent && up.gone.Load() {
		// The watcher woke us: the peer has left, what it sent lies here.
		err = up.raw.Control(func(fd uintptr) { f.ready(fd) })
	}
	if err != nil {
		f.over(err)
	}
	return f.out
}

// ready does what there is to do; false waits for the socket's next edge.
func (f *flow) ready(fd uintptr) (over bool) {
	f.t.up.waits.Store(false)
	if !f.sent {
		f.sent = true
		switch err := f.t.send(); {
		case err == nil && !f.t.up.reused: // it may have spoken before it was asked, and RawConn.Read has eaten the edge
		case err == nil:
			if f.wait() {
				return false
			}
		case !isReset(err): // else its answer may still be there to read
			f.out = broke(err, true)
			return true
		}
	}
	for {
		if f.in == nil {
			f.in = getBuffer(f.size)
		}
		room, gone := f.in.b[f.w:], f.t.up.gone.Load()
		n, err := unix.Read(int(fd), room)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && !gone: // if it went since, there is more to read
			if f.wait() {
				return false
			}
			continue
		case err == unix.EAGAIN, err == nil && n == 0:
			f.over(io.EOF)
			return true
		case err != nil:
			f.over(err)
			return true
		}
		f.w += n
		if f.take() {
			return true
		}
		if n < len(room) && f.wait() {
			return false
		}
		f.fit(n, len(room))
	}
}

// wait gets ready to wait for the next edge. It says no when the peer has left:
// its FIN may have come with the bytes just read, and there is no further edge.
func (f *flow) wait() bool {
	up := f.t.up
	if f.w == 0 && f.in != nil {
		putBuffer(f.in)
		f.in = nil
	}
	f.to.waits(f.g.now(), f.began || f.kept)
	up.waits.Store(true)
	if up.gone.Load() {
		up.waits.Store(false)
		return false
	}
	return true
}

// take goes over what has come in.
func (f *flow) take() (over bool) {
	if !f.headed {
		if err := f.head(); err != nil {
			f.out = broke(err, false)
			return true
		}
		if !f.headed {
			return false
		}
		f.kept = retryableStatus(f.t.ans.head.Status) && f.to.mayRetry()
	}
	if f.kept {
		return f.keepBack()
	}
	return f.body()
}

// head reads the answer's head, past any 1xx.
func (f *flow) head() error {
	a := &f.t.ans
	for {
		n, err := a.head.Parse(f.in.b[:f.w])
		if err != nil {
			return err
		}
		if n == 0 {
			if f.w >= f.g.cfg.Limits.HeaderBytes {
				return errLargeHead
			}
			f.grow()
			return nil
		}
		if a.head.Status == 101 {
			if err := f.t.req.accepts(&a.head); err != nil {
				return err
			}
		}
		if a.head.Status >= 200 || a.head.Status == 101 {
			a.frame()
			f.headed, f.unsent, f.pos = true, n, n
			return nil
		}
		if f.interim++; f.interim > mostInterim {
			return errInterim
		}
		f.w = copy(f.in.b, f.in.b[n:f.w])
		a.head.Reset()
	}
}

// grow makes room behind what there is.
func (f *flow) grow() {
	if f.w < len(f.in.b) {
		return
	}
	larger := getBuffer(2 * f.w)
	copy(larger.b, f.in.b)
	f.in, larger = larger, f.in
	putBuffer(larger)
}

// keepBack collects an engine's own error answer, so that it can be passed on
// if no other instance has a better one.
func (f *flow) keepBack() (over bool) {
	a := &f.t.ans
	f.out = outcome{end: failed, failure: scheduler.BadStatus, err: fmt.Errorf("it answered %d", a.head.Status)}
	n, err := a.take(f.in.b[f.pos:f.w])
	f.pos += n
	switch {
	case err != nil, f.w > stashMost:
		return true
	case a.done:
		f.stash()
		return true
	}
	f.grow()
	return false
}

// stash keeps the answer that has come in whole.
func (f *flow) stash() {
	q := f.t.req
	putBuffer(q.stash)
	q.stash, q.stashed, f.in = f.in, f.w, nil
	f.out.keep = f.t.ans.again()
}

// body moves on what of the body has come in. The head is held until the first
// of the payload, or the end, has come (or there is no room left): until then
// another instance may answer.
func (f *flow) body() (over bool) {
	a := &f.t.ans
	if a.head.Status == 101 {
		f.t.rest = bytes.Clone(f.in.b[f.pos:f.w])
		f.w = f.pos
	}
	n, err := a.take(f.in.b[f.pos:f.w])
	f.pos += n
	if err != nil && !a.done {
		if f.began && f.pos > f.unsent && f.pass() != nil {
			f.out = outcome{end: left} // what was good is the client's
			return true
		}
		f.cut(err)
		return true
	}
	if f.began || a.done || a.payload() > 0 || f.pos == len(f.in.b) {
		if f.pass() != nil {
			f.out = outcome{end: left}
			return true
		}
		f.unsent, f.pos, f.w = 0, 0, 0
	}
	if a.done {
		f.out = outcome{end: ended, keep: a.again() && err == nil}
	}
	return a.done
}

// pass gives the sink what it has not got.
func (f *flow) pass() error {
	piece := f.in.b[f.unsent:f.pos]
	if f.began {
		return f.to.relay(f.g.now(), &f.t.ans, piece)
	}
	f.began = true
	return f.to.begin(f.g.now(), &f.t.ans, piece)
}

// over deals with the end of the engine's side of the connection.
func (f *flow) over(err error) {
	a := &f.t.ans
	switch {
	case !f.headed:
		f.out = broke(err, f.w == 0)
	case f.kept:
		if errors.Is(err, io.EOF) && a.mode == framedClose {
			a.done = true
			f.stash()
		}
	case errors.Is(err, io.EOF) && a.mode == framedClose && f.to.complete():
		a.done, a.parts = true, nil
		f.out = outcome{end: ended}
		if f.finish() != nil {
			f.out = outcome{end: left}
		}
	default:
		f.cut(err)
	}
}

// finish tells the sink that the answer is whole, where no byte of it does.
func (f *flow) finish() error {
	if f.began {
		return f.to.relay(f.g.now(), &f.t.ans, nil)
	}
	return f.to.begin(f.g.now(), &f.t.ans, nil)
}

func (f *flow) cut(err error) {
	f.out = broke(err, false)
	if f.began {
		f.out.end = cut
	}
}

// fit chooses the size of the next buffer by the last read: a stream of tokens
// needs a small one, a large body moves in few calls.
func (f *flow) fit(n, room int) {
	switch {
	case n == room && f.w == 0:
		f.size = relayLarge
	case n < minBuffer/2:
		f.size = minBuffer
	}
	if f.w == 0 && f.in != nil && len(f.in.b) < f.size {
		putBuffer(f.in)
		f.in = nil
	}
}

// stashMost is how much of an engine's own error answer is kept for the case
// that no other instance does better.
const stashMost = 64 << 10

// mostInterim is how many 1xx may come before the answer.
const mostInterim = 8

var (
	errInterim   = &http1.Error{Msg: "an interim answer that nobody asked for"}
	errLargeHead = &http1.Error{Msg: "the answer's headers are larger than limits.header_bytes"}
)
