package dataplane

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

// socketEngine is an engine with a WebSocket.
func socketEngine(t *testing.T, serve func(*websocket.Conn, *http.Request)) *engine {
	u := websocket.Upgrader{Subprotocols: []string{"speech"}, EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		serve(ws, r)
	})
}

// echo says what it hears.
func echo(ws *websocket.Conn, _ *http.Request) {
	for {
		kind, text, err := ws.ReadMessage()
		if err != nil || ws.WriteMessage(kind, text) != nil {
			return
		}
	}
}

const realtime = "/v1/realtime"

func TestFramesPassBothWays(t *testing.T) {
	seen := make(chan *http.Request, 1)
	e := socketEngine(t, func(ws *websocket.Conn, r *http.Request) {
		seen <- r
		echo(ws, r)
	})
	r := start(t, instances(e.url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{keyOf("ann", "secret")} })
	w := r.talk(realtime+"?model=m", 0, nil, "speech", "bearer.secret")
	if w.Subprotocol() != "speech" {
		t.Errorf("subprotocol %q, want the engine's", w.Subprotocol())
	}
	got := <-seen
	if p := got.Header.Get("Sec-WebSocket-Protocol"); p != "speech" {
		t.Errorf("the engine was offered %q", p)
	}
	if got.URL.String() != realtime+"?model=m" || got.Header.Get("X-Request-Id") == "" {
		t.Errorf("%s %v", got.URL, got.Header)
	}
	large := strings.Repeat("x", 300_000)
	for _, text := range []string{"hello", "", large} {
		w.say(text)
		w.hear(text)
	}
	if n := r.sched.Instances()[0].Status().InFlight; n != 1 {
		t.Errorf("%d in flight at the instance: an open socket is load", n)
	}
	w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "mine"), time.Now().Add(patience))
	w.ends(4001)
	r.until("the place to be free", func() bool { return r.sched.Instances()[0].Status().InFlight == 0 })
	r.until("the close to be counted", func() bool { return r.metric(`penstock_websocket_closes_total{code="other"}`) == 1 })
	for series, want := range map[string]float64{
		`penstock_websocket_messages_total{direction="in"}`:                  3,
		`penstock_websocket_messages_total{direction="out"}`:                 3,
		`penstock_ttft_seconds_count`:                                        0,
		`penstock_gateway_requests`:                                          0,
		`penstock_aborts_total{when="streaming"}`:                            0,
		`penstock_websocket_connections`:                                     0,
		`penstock_requests_total{route="/v1/realtime",code="101",key="ann"}`: 1,
	} {
		r.until(fmt.Sprintf("%s to be %v, it is %v", series, want, r.metric(series)), func() bool { return r.metric(series) == want })
	}
}

// What is no WebSocket's is the ends' business: the router judges nothing, and
// takes nothing that looks like an end for one.
func TestGarbagePassesAsItIs(t *testing.T) {
	f := func(pieces ...[]byte) {
		t.Helper()
		all := bytes.Join(pieces, nil)
		r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
			b := make([]byte, len(all))
			if _, err := io.ReadFull(ws.UnderlyingConn(), b); err == nil {
				ws.UnderlyingConn().Write(b)
			}
			io.Copy(io.Discard, ws.UnderlyingConn())
		}).url), nil)
		conn := r.talk(realtime, 0, nil).UnderlyingConn()
		for _, piece := range pieces {
			if _, err := conn.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, len(all))
		if n, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, all) {
			t.Fatalf("%x came back as %x, %v", all, got[:n], err)
		}
		conn.Close()
		r.until("it to be over", func() bool { return r.metric("penstock_websocket_connections") == 0 })
	}
	f([]byte("\xf3\x80\x01\x02\x03\x04"))                                                                 // reserved bits and opcode
	f(frameOf(true, 1, false, []byte("not masked")))                                                      // by a client
	f(frameOf(true, 1, true, []byte("\xff\xfe")), frameOf(true, 0, true, []byte("goes on with nothing"))) // and no UTF-8
	f(frameOf(false, opPing, true, bytes.Repeat([]byte("x"), 200)))                                       // a ping in fragments, too large
	f(frameOf(true, opClose, true, []byte{3}), frameOf(true, 1, true, []byte("said after the end")))
	f(frameOf(true, opClose, true, []byte{0, 0}), frameOf(true, opClose, true, []byte("\x03\xe8\xff")))
	f([]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"), bytes.Repeat([]byte{0}, 70_000)) // longer than any frame
	f([]byte("GET / HTTP/1.1\r\n\r\n"))
}

func TestPathOfAWebSocketWantsOne(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.Paths = []string{"/mine"} })
	p := r.dial()
	p.send("GET /mine HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, body := p.whole()
	expect(t, resp, body, 426, "upgrade_required")
	w := r.talk("/mine", 0, nil)
	w.say("hello")
	w.hear("hello")
}

func TestEngineThatSpeaksFirstAndClosesIsHeard(t *testing.T) {
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		ws.WriteMessage(websocket.TextMessage, []byte("session.created"))
		ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1008, "no"), time.Now().Add(patience))
		ws.ReadMessage()
	}).url), nil)
	w := r.talk(realtime, 0, nil)
	w.hear("session.created")
	w.ends(1008)
}

func TestInstanceThatDiesBeforeItSpokeIsReplacedUnseen(t *testing.T) {
	dead := socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		ws.ReadMessage()
		ws.UnderlyingConn().(*net.TCPConn).SetLinger(0)
	})
	good := socketEngine(t, func(ws *websocket.Conn, r *http.Request) {
		_, text, _ := ws.ReadMessage()
		ws.WriteMessage(websocket.TextMessage, text)
		echo(ws, r)
	})
	r := start(t, instances(dead.url, good.url), nil)
	for n := 0; r.metric(`penstock_retries_total{outcome="ok"}`) < 1; n++ {
		if n == 20 { // the one that dies may be heard of later than the other
			t.Fatal("nothing was retried")
		}
		w := r.talk(realtime, 0, nil)
		w.say("hello")
		w.hear("hello")
		w.say("more")
		w.hear("more")
		w.Close()
		r.until("it to be over", func() bool { return r.metric("penstock_websocket_connections") == 0 })
	}
}

func TestInstanceThatDiesIs1011(t *testing.T) {
	die := make(chan struct{})
	e := socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		ws.WriteMessage(websocket.TextMessage, []byte("hello"))
		<-die
		ws.UnderlyingConn().(*net.TCPConn).SetLinger(0)
	})
	r := start(t, instances(e.url), nil)
	w := r.talk(realtime, 0, nil)
	w.hear("hello")
	close(die)
	w.ends(1011)
	r.until("the close to be counted", func() bool { return r.metric(`penstock_websocket_closes_total{code="1011"}`) == 1 })
}

func TestNoInstanceRefusesTheHandshake(t *testing.T) {
	r := start(t, instances(deadURL(t)), nil)
	p := r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", realtime)
	resp, body := p.whole()
	if resp.StatusCode < 500 || !strings.Contains(body, `{"error":{"message":"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestEnginesRefusalOfAHandshakePasses(t *testing.T) {
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusTeapot) }).url), nil)
	r.talk(realtime, 418, nil)
	r.until("nothing to be open", func() bool { return r.metric("penstock_websocket_connections") == 0 })
}

func TestClientThatVanishesFreesTheInstance(t *testing.T) {
	gone := make(chan struct{})
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, r *http.Request) {
		echo(ws, r)
		close(gone)
	}).url), nil)
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	w.hear("hello")
	w.UnderlyingConn().(*net.TCPConn).SetLinger(0)
	w.Close()
	r.wait(gone, "the engine to hear of it")
	r.until("the place to be free", func() bool { return r.sched.Instances()[0].Status().InFlight == 0 })
	r.until("the end to be counted", func() bool { return r.metric(`penstock_websocket_closes_total{code="1006"}`) == 1 })
}

func TestDrainEndsATunnelWith1001(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), nil)
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	w.hear("hello")
	r.stop()
	w.ends(1001)
	r.wait(r.ended, "the end of the gateway")
}

func TestTunnelsClientThatAnswersNoPingIsGone(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), nil, func(g *Gateway, _ *scheduler.Scheduler) { g.pingEvery = short })
	deaf, alive := r.talk(realtime, 0, nil), r.talk(realtime, 0, nil)
	go alive.ReadMessage() // it answers pings
	_ = deaf
	r.until("the deaf one to be gone", func() bool { return r.metric("penstock_websocket_connections") == 1 })
	alive.say("hello")
}

// Who answers pings is there, and may have no use for the socket all the same.
func TestTunnelThroughWhichNothingPassesIsClosed(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.IdleTimeout = 4 * short }, func(g *Gateway, _ *scheduler.Scheduler) { g.pingEvery = short })
	r.talk(realtime, 0, nil).ends(1001)
}

// A client that pings more often than it would be pinged kept its socket for ever.
func TestTunnelOfPingsAloneIsClosed(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.IdleTimeout = 4 * short })
	w := r.talk(realtime, 0, nil)
	ping := frameOf(true, 9, true, nil)
	w.UnderlyingConn().Write(ping)
	w.SetPongHandler(func(string) error {
		w.UnderlyingConn().Write(ping)
		return nil
	})
	w.ends(1001)
}

func TestSlowReaderHoldsUpItsEngine(t *testing.T) {
	stuck := make(chan struct{})
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		piece := []byte(strings.Repeat("x", 1<<20))
		for n := 0; n < 256; n++ {
			ws.SetWriteDeadline(time.Now().Add(time.Second))
			if ws.WriteMessage(websocket.BinaryMessage, piece) != nil {
				close(stuck)
				return
			}
		}
	}).url), nil)
	w := r.talk(realtime, 0, nil)
	r.wait(stuck, "the engine to be held up by a client that reads nothing")
	w.Close()
}
