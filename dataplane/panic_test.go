package dataplane

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

// broken is a fault of the router's own.
type broken struct{}

func (broken) move(*attempt, sink) outcome { panic("a fault") }

func TestFaultInsideIsAnAnswerAndNotAClosedConnection(t *testing.T) {
	var log bytes.Buffer // read once all has ended
	e := newEngine(t, ok)
	r := start(t, instances(e.url), nil, func(g *Gateway, _ *scheduler.Scheduler) {
		g.mover, g.log = broken{}, slog.New(slog.NewTextHandler(&log, nil))
	})
	p := r.dial()
	p.post(`{"model":"m"}`)
	resp, body := p.whole()
	expect(t, resp, body, 500, "internal")
	if !resp.Close {
		t.Error("the connection lives on, with who knows what in it")
	}
	r.until("the error to be counted", func() bool { return r.metric(`penstock_request_errors_total{reason="internal"}`) == 1 })
	r.until("the instance is free again", func() bool { return r.sched.Instances()[0].Status().InFlight == 0 })
	r.stop()
	r.wait(r.ended, "the end of the gateway")
	if text := log.String(); !strings.Contains(text, "a fault") {
		t.Errorf("the log does not say what failed: %s", text)
	}
}

// One request's fault in a decision that the holder makes is not the end of the
// others that wait.
func TestFaultInTheLineIsOneRequestsAlone(t *testing.T) {
	var log bytes.Buffer // read once all has ended
	e, came, release := gated(t)
	r := start(t, one(instances(e.url)), func(_ *Config, s *scheduler.Config) { s.Policy = "prefix-cache" }, func(g *Gateway, s *scheduler.Scheduler) {
		g.holder.log = slog.New(slog.NewTextHandler(&log, nil))
		s.Oracle(func(_ *scheduler.Instance, q *scheduler.Query) int {
			if q.Held != 0 && q.Key == 0 && q.Session != 0 {
				panic("a fault")
			}
			return 0
		})
	})
	first, faulty, last := r.dial(), r.dial(), r.dial()
	text := `{"model":"m","prompt":"` + strings.Repeat("word ", 1000) + `"}`
	first.post(text)
	<-came
	faulty.post(text, "X-Session-Id: it")
	resp, body := faulty.whole()
	expect(t, resp, body, 500, "internal")
	last.post(text)
	close(release)
	for _, p := range []*peer{first, last} {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
	r.stop()
	r.wait(r.ended, "the end of the gateway")
	if text := log.String(); !strings.Contains(text, "a fault") {
		t.Errorf("the log does not say what failed: %s", text)
	}
}

// faultyConn is an instance's connection on which a fault of the router's own shows.
type faultyConn struct {
	net.Conn
	hearing bool // of who hears the client, else of who hears the instance
}

func (c *faultyConn) Read(p []byte) (int, error) {
	if !c.hearing {
		panic("a fault")
	}
	return c.Conn.Read(p)
}

func (c *faultyConn) Write(p []byte) (int, error) {
	if c.hearing {
		panic("a fault")
	}
	return c.Conn.Write(p)
}

// brokenLater is a mover behind which a tunnel fails.
type brokenLater struct {
	mover
	hearing bool
}

func (b brokenLater) move(t *attempt, to sink) outcome {
	out := b.mover.move(t, to)
	if t.req.tunnel != nil {
		t.up.Conn = &faultyConn{t.up.Conn, b.hearing}
	}
	return out
}

// A fault in a tunnel left who heard its client, the instance's connection and a
// count of requests below what there were.
func TestFaultInATunnelIsTheEndOfThatAlone(t *testing.T) {
	for _, hearing := range []bool{false, true} {
		gone := make(chan struct{})
		r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
			ws.ReadMessage()
			close(gone)
		}).url), nil, func(g *Gateway, _ *scheduler.Scheduler) {
			g.mover, g.log = brokenLater{g.mover, hearing}, slog.New(slog.DiscardHandler)
		})
		r.well()
		w := r.talk(realtime, 0, nil)
		if hearing {
			r.until("the instance to be there", func() bool { return attached(r.g) })
			w.say("hello")
		}
		w.ends(1011)
		r.wait(gone, "the instance to hear of it")
		r.nothingLeft()
	}
}

// attached says whether the one tunnel has its instance.
func attached(g *Gateway) bool {
	g.sockets.mu.Lock()
	defer g.sockets.mu.Unlock()
	for t := range g.sockets.passing {
		t.far.mu.Lock()
		defer t.far.mu.Unlock()
		return t.far.conn != nil
	}
	return false
}

// nothingLeft wants all to be given back.
func (r *rig) nothingLeft() {
	r.t.Helper()
	for _, series := range []string{"penstock_websocket_connections", "penstock_gateway_connections", "penstock_gateway_requests", "penstock_gateway_held_bytes"} {
		r.until(series+" to be 0", func() bool { return r.metric(series) == 0 })
	}
	r.until("the instance to be free", func() bool { return r.sched.Instances()[0].Status().InFlight == 0 })
	if n := r.g.account.current.Load(); n != 0 {
		r.t.Errorf("%d requests are inside", n)
	}
}

// Outside of what a request does by itself, a fault in its goroutine was the end of
// the router.
func TestFaultOfAMessageIsTheEndOfItsConnectionAlone(t *testing.T) {
	for _, id := range [][]byte{nil, []byte(`"a"`)} {
		r := start(t, instances(newEngine(t, ok).url), nil, func(g *Gateway, _ *scheduler.Scheduler) { g.log = slog.New(slog.DiscardHandler) })
		w, other := r.talk(chat, 0, nil), r.talk(chat, 0, nil)
		var open []*bridge
		r.until("both to be open", func() bool { open = r.g.sockets.idle(); return len(open) == 2 })
		if open[0].conn.RemoteAddr().String() == other.LocalAddr().String() {
			w, other = other, w
		}
		m := newMessage(open[0])
		m.id, m.g = id, nil // the fault
		open[0].enter(m)
		if _, _, err := w.ReadMessage(); err == nil {
			t.Error("the connection lives on")
		}
		other.say(ask)
		other.next()
		other.hear("[DONE]")
		other.Close()
		r.nothingLeft()
	}
}

// A message for which there was no room kept what it had, if its client left before
// the rest had come.
func TestMessageWithoutRoomWhoseClientLeavesKeepsNothing(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.BodyBytes, l.HeldBytes = 1<<16, 1<<16 }))
	r.g.held.take(1 << 15)
	w := r.talk(chat, 0, nil)
	w.UnderlyingConn().Write(frameOf(false, 1, true, bytes.Repeat([]byte(" "), 1<<15+1)))
	w.Close()
	r.until("it to be gone", func() bool { return r.metric("penstock_websocket_connections") == 0 })
	r.g.held.give(1 << 15)
	r.nothingLeft()
}

// deafClient is a mover before which a client stops to take anything.
type deafClient struct{ mover }

func (d deafClient) move(t *attempt, to sink) outcome {
	if t.req.tunnel != nil {
		t.req.tunnel.conn.SetWriteDeadline(past)
	}
	return d.mover.move(t, to)
}

// A client that did not take the 101 left a request that a drain waited for.
func TestClientThatDoesNotTakeItsHandshakeLeavesNothing(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), nil, func(g *Gateway, _ *scheduler.Scheduler) { g.mover = deafClient{g.mover} })
	p := r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", realtime)
	p.closed()
	r.nothingLeft()
}
