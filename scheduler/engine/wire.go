package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	maxHead = 16 << 10
	maxBody = 4 << 20
	// keepBody is the largest body buffer kept between calls: a page has tens
	// of KB, so what is larger was an exception.
	keepBody = 256 << 10
)

// wire is one keep-alive connection and the buffers for one answer at a time.
//
// fasthttp reads the answers, but its HostClient does not own the connection:
// that one leaves a cleaner goroutine behind for as long as a connection may
// idle, cannot be interrupted by a context, repeats a failed GET up to five
// times on fresh connections too, and calls a reset before the first byte EOF.
type wire struct {
	addr func() string // to dial
	tls  *tls.Config   // nil: plain

	// Of the calling goroutine alone.
	stream  io.ReadWriter // over conn
	reader  *bufio.Reader
	answer  fasthttp.Response
	readErr error // the last error of stream itself, not of the HTTP reader

	mu      sync.Mutex      // for Close and cancelled contexts, which come from elsewhere
	conn    net.Conn        // nil: not connected
	watched <-chan struct{} // Done channel of the context watched
	unwatch func() bool     // nil: none watched
	epoch   uint64          // counts contexts watched
	busy    bool            // within get
	closed  bool
}

// get sends request and reads the answer, which stays valid until the next
// call. It returns the status, whatever it is. A kept connection that turns
// out to be dead is replaced once by a fresh one; a fresh one that fails is an
// error.
func (w *wire) get(ctx context.Context, request []byte, deadline time.Time) (int, error) {
	if err := w.begin(ctx); err != nil {
		return 0, err
	}
	defer w.end()
	for {
		fresh, err := w.connect(ctx, deadline)
		if err == nil {
			err = w.exchange(request, deadline)
		}
		if err == nil {
			return w.answer.StatusCode(), nil
		}
		w.hangUp()
		if ctx.Err() != nil {
			return 0, cancelled(ctx)
		}
		if fresh || !died(err) {
			return 0, err
		}
	}
}

// body of the last answer.
func (w *wire) body() []byte { return w.answer.Body() }

// location header of the last answer.
func (w *wire) location() string {
	return string(w.answer.Header.Peek(fasthttp.HeaderLocation))
}

// exchange is one request and its answer on the open connection.
func (w *wire) exchange(request []byte, deadline time.Time) error {
	w.answer.ReleaseBody(keepBody)
	w.answer.KeepBodyBuffer = true
	w.readErr = nil
	if err := w.setDeadline(deadline); err != nil {
		return sorted(err)
	}
	if _, err := w.stream.Write(request); err != nil {
		return sorted(err)
	}
	if err := w.answer.ReadLimitBody(w.reader, maxBody); err != nil {
		if w.readErr != nil {
			err = w.readErr
		}
		return sorted(err)
	}
	// What follows an answer unasked would be taken for the next one.
	if w.answer.ConnectionClose() || w.reader.Buffered() > 0 || w.answer.StatusCode() < 200 {
		w.hangUp()
	}
	return nil
}

// Read notes the connection's own error beside what the HTTP reader makes of it.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.stream.Read(p)
	if err != nil {
		w.readErr = err
	}
	return n, err
}

// connect makes sure of a connection and reports whether it is a new one.
func (w *wire) connect(ctx context.Context, deadline time.Time) (fresh bool, err error) {
	if w.connected() {
		return false, nil
	}
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.DialContext(ctx, "tcp", w.addr())
	if err != nil {
		return true, sorted(err)
	}
	if err := w.adopt(ctx, conn); err != nil {
		return true, err
	}
	w.stream = conn
	if w.tls != nil {
		secure := tls.Client(conn, w.tls)
		if err := w.setDeadline(deadline); err != nil {
			return true, sorted(err)
		}
		if err := secure.HandshakeContext(ctx); err != nil {
			return true, sorted(err)
		}
		w.stream = secure
	}
	if w.reader == nil {
		w.reader = bufio.NewReaderSize(w, maxHead)
	} else {
		w.reader.Reset(w)
	}
	return true, nil
}

// adopt makes conn the connection, unless the call has been ended meanwhile.
func (w *wire) adopt(ctx context.Context, conn net.Conn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || ctx.Err() != nil {
		conn.Close()
		return net.ErrClosed
	}
	w.conn = conn
	return nil
}

func (w *wire) connected() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conn != nil
}

func (w *wire) setDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		return net.ErrClosed
	}
	return w.conn.SetDeadline(t)
}

func (w *wire) hangUp() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hangUpLocked()
}

func (w *wire) hangUpLocked() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// begin opens a call and sees to it that ctx interrupts it. A scraper passes
// the same context each time, so the watch on it is kept between calls:
// context.AfterFunc allocates.
func (w *wire) begin(ctx context.Context) error {
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return net.ErrClosed
	}
	w.busy = true
	if done := ctx.Done(); done != w.watched {
		w.watch(ctx, done)
	}
	return nil
}

// watch replaces the context watched. The caller holds mu.
func (w *wire) watch(ctx context.Context, done <-chan struct{}) {
	if w.unwatch != nil {
		w.unwatch()
		w.unwatch = nil
	}
	w.watched = done
	w.epoch++
	if epoch := w.epoch; done != nil {
		w.unwatch = context.AfterFunc(ctx, func() { w.interrupt(epoch) })
	}
}

func (w *wire) end() {
	w.mu.Lock()
	w.busy = false
	w.mu.Unlock()
}

// interrupt ends the call under way if it is still one of that epoch: a
// context cancelled after its call must not cut the next one's connection.
func (w *wire) interrupt(epoch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy && w.epoch == epoch {
		w.hangUpLocked()
	}
}

// close ends a call under way too.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.unwatch != nil {
		w.unwatch()
		w.unwatch = nil
	}
	w.hangUpLocked()
}

// cancelled is the error of a call that ctx ended.
func cancelled(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	}
	return err
}

// died reports whether err is what a kept connection shows whose other end has
// gone: engines drop idle ones without a word (vLLM after 5 s).
func died(err error) bool {
	return errors.Is(err, ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
