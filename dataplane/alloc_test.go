//go:build !race

// Under the race detector sync.Pool forgets at random, so that everything would
// allocate: make test runs these apart.

package dataplane

import (
	"io"
	"net/http"
	"testing"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

func TestRequestAllocatesNothing(t *testing.T) {
	f := func(name string, request []byte, answer string) {
		t.Helper()
		r := start(t, roomy(instances(plainEngine(t, saying(answer)))), calm)
		r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
		trip := tripper(t, r.addr, request, answer)
		for range 100 {
			trip()
		}
		if n := testing.AllocsPerRun(1000, trip); n != 0 {
			t.Errorf("%s: %v allocations a request", name, n)
		}
	}
	f("small", []byte(sized(len(ask))), jsonAnswer)
	f("8 KB", []byte(sized(8<<10)), jsonAnswer)
	f("chunked", []byte(chunkedHead+chunked(padded(8<<10), 1000)), jsonAnswer)
	f("stream", []byte(sized(len(ask))), sseHead+"b\r\ndata: one\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
}

func TestStreamedEventAllocatesNothing(t *testing.T) {
	next := make(chan struct{})
	defer close(next)
	r := start(t, roomy(instances(plainEngine(t, streaming(next)))), calm)
	r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	trip := listener(t, r.addr, next)
	if n := testing.AllocsPerRun(1000, trip); n != 0 {
		t.Errorf("%v allocations an event", n)
	}
}

// The library puts a pooled buffer into an interface: 24 bytes.
func TestEventOverAWebSocketAllocatesNoMoreThanTheLibrary(t *testing.T) {
	next := make(chan struct{})
	defer close(next)
	r := start(t, roomy(instances(plainEngine(t, streamingOf(next, wholeEvent)))), calm)
	r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	trip := messageListener(t, r.addr, next)
	if n := testing.AllocsPerRun(1000, trip); n > 1 {
		t.Errorf("%v allocations an event", n)
	}
}

func TestFramesThatPassAllocateNothing(t *testing.T) {
	r := start(t, roomy(instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		io.Copy(ws.UnderlyingConn(), struct{ io.Reader }{ws.UnderlyingConn()})
	}).url)), calm)
	r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	c := r.talk(realtime, 0, nil).UnderlyingConn()
	whole := append(frameOf(false, 1, true, make([]byte, 300)), frameOf(true, 0, true, nil)...)
	back := make([]byte, len(whole))
	trip := func() {
		c.Write(whole)
		if _, err := io.ReadFull(c, back); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		trip()
	}
	if n := testing.AllocsPerRun(1000, trip); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}
