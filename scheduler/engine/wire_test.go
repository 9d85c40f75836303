package engine

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestScrapeAllocatesNothing(t *testing.T) {
	f := func(name string, want Reading, answers ...string) {
		t.Helper()
		c := newTestClient(t, Options{URL: canned(t, answers...), Kind: VLLM})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var r Reading
		if n := testing.AllocsPerRun(100, func() {
			if err := c.Scrape(ctx, &r); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a scrape, want 0", name, n)
		}
		if r.Lean != want.Lean || r.GenerationTokens != want.GenerationTokens {
			t.Errorf("%s: got %+v, want %+v", name, r, want)
		}
	}
	full := string(golden(t, "real-vllm-0.32.metrics"))
	lean := filtered(full, profileOf(VLLM).text.names)
	f("full", Reading{GenerationTokens: 21695}, ok200(full))
	f("chunked", Reading{GenerationTokens: 21695}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+chunk(full[:40000])+chunk(full[40000:])+"0\r\n\r\n")
	f("lean", Reading{GenerationTokens: 21695, Lean: true}, ok200(full), ok200(lean))
}

// Engines drop idle connections without a word, with FIN or with RST: the next
// call takes a fresh one and nobody notices.
func TestStaleConnection(t *testing.T) {
	f := func(drop func(*net.TCPConn)) {
		t.Helper()
		l := listen(t)
		dropped := make(chan struct{}, 1)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				serveOnce(conn)
				drop(conn.(*net.TCPConn))
				dropped <- struct{}{}
			}
		}()
		c := newTestClient(t, Options{URL: "http://" + l.Addr().String()})
		for range 3 {
			if err := c.Health(t.Context()); err != nil {
				t.Fatal(err)
			}
			<-dropped
		}
	}
	f(func(c *net.TCPConn) { c.Close() })
	f(func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() })
}

// A reset on a fresh connection is a reset, and not tried again.
func TestReset(t *testing.T) {
	l := listen(t)
	accepted := make(chan int, 8)
	go func() {
		for n := 1; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var head [1]byte
			_, _ = conn.Read(head[:]) // the request is there, so the reset follows it
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
			accepted <- n
		}
	}()
	c := newTestClient(t, Options{URL: "http://" + l.Addr().String()})
	if err := c.Health(t.Context()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want ECONNRESET", err)
	}
	if n := <-accepted; n != 1 || len(accepted) != 0 {
		t.Error("tried again on a fresh connection")
	}
}

func TestTimeout(t *testing.T) {
	f := func(timeout time.Duration, ctx context.Context) {
		t.Helper()
		l := listen(t) // accepts by its backlog and never answers
		c := newTestClient(t, Options{URL: "http://" + l.Addr().String(), Timeout: timeout})
		if err := c.Health(ctx); !errors.Is(err, ErrTimeout) {
			t.Errorf("got %v, want ErrTimeout", err)
		}
	}
	f(20*time.Millisecond, t.Context())
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	f(time.Minute, soon)
	f(time.Minute, soon) // past already

	if err := sorted(&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}); !errors.Is(err, ErrTimeout) {
		t.Errorf("a dial's deadline is %v, want ErrTimeout", err)
	}
}

// Cancelling ends a call under way at once; Close does, too.
func TestInterrupt(t *testing.T) {
	f := func(want error, interrupt func(*Client, context.CancelFunc)) {
		t.Helper()
		l := listen(t)
		c := newTestClient(t, Options{URL: "http://" + l.Addr().String(), Timeout: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		failed := make(chan error, 1)
		go func() { failed <- c.Health(ctx) }()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var b [1]byte
		if _, err := conn.Read(b[:]); err != nil { // the request is out
			t.Fatal(err)
		}
		interrupt(c, cancel)
		if err := <-failed; !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(context.Canceled, func(_ *Client, cancel context.CancelFunc) { cancel() })
	f(net.ErrClosed, func(c *Client, _ context.CancelFunc) { c.Close() })
}

// The usual `ctx, cancel := WithTimeout; defer cancel()` around a call leaves
// the connection to the next one.
func TestCancelAfterCallKeepsConnection(t *testing.T) {
	l := listen(t)
	c := newTestClient(t, Options{URL: "http://" + l.Addr().String()})
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for serveOnce(conn) {
		}
	}()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Health(ctx); err != nil {
			t.Fatal(err) // there is nobody to accept a second connection
		}
		cancel()
	}
}

// What comes after an answer unasked is not the next answer.
func TestExtraBytes(t *testing.T) {
	forged := ok200("") + "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
	c := newTestClient(t, Options{URL: canned(t, forged)})
	for range 3 {
		if err := c.Health(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
