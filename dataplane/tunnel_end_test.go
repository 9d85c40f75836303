package dataplane

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

// dies ends a WebSocket by RST.
func dies(ws *websocket.Conn) {
	ws.UnderlyingConn().(*net.TCPConn).SetLinger(0)
	ws.Close()
}

// fill writes until nothing is taken any more.
func (w *talker) fill() {
	piece := make([]byte, 64<<10)
	for {
		w.SetWriteDeadline(time.Now().Add(short))
		if w.WriteMessage(websocket.BinaryMessage, piece) != nil {
			return
		}
	}
}

// What an instance did not take in time was left out, and the frames behind the
// hole were none, on a socket that stayed open.
func TestInstanceThatReadsTooLateIsGivenUp(t *testing.T) {
	done := make(chan struct{})
	r := start(t, instances(socketEngine(t, func(*websocket.Conn, *http.Request) { <-done }).url), limits(func(l *Limits) { l.StallTimeout = 4 * short }))
	defer close(done)
	w := r.talk(realtime, 0, nil)
	w.fill()
	w.ends(1011)
}

// An instance that did not read was not heard either.
func TestInstanceThatDoesNotReadIsHeard(t *testing.T) {
	speak, done := make(chan string), make(chan struct{})
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		for text := range speak {
			ws.WriteMessage(websocket.TextMessage, []byte(text))
		}
		<-done
	}).url), nil)
	defer close(done)
	defer close(speak)
	w := r.talk(realtime, 0, nil)
	w.fill()
	for _, text := range []string{"a", "b", "c"} {
		speak <- text
		w.hear(text)
	}
}

// The HTTP of a second instance's refusal went into the WebSocket.
func TestNextInstancesRefusalIsNoFrame(t *testing.T) {
	for _, status := range []int{404, 200, 503} {
		var n atomic.Int32
		u := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		serve := func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) > 1 {
				w.WriteHeader(status)
				io.WriteString(w, "nooo")
				return
			}
			if ws, err := u.Upgrade(w, r, nil); err == nil {
				ws.ReadMessage()
				dies(ws)
			}
		}
		r := start(t, instances(newEngine(t, serve).url, newEngine(t, serve).url), nil)
		w := r.talk(realtime, 0, nil)
		w.say("hello")
		w.ends(1011)
	}
}

// Engines differ in which of two models they take.
func TestKeysModelsHoldForHandshakes(t *testing.T) {
	key := keyOf("ann", "secret")
	key.Models = []string{"m"}
	r := start(t, instances(socketEngine(t, echo).url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{key} })
	auth := http.Header{"Authorization": {"Bearer secret"}}
	for query, status := range map[string]int{
		"?model=m&model=other": 400, "?model=m&%6dodel=other": 400, "?model=m&model": 400, "?model=m&a=%zz": 400,
		"?model=other": 403, "?model=%6fther": 403, "?model=": 403, "": 403,
		"?model=m": 0, "?a=b&model=%6d": 0,
	} {
		r.talk(realtime+query, status, auth)
	}
}

// A client that left while another instance was asked to take over left its socket
// open, with a place at the instance.
func TestClientThatLeavesBetweenInstancesLeavesNothing(t *testing.T) {
	var n atomic.Int32
	asked, left := make(chan struct{}), make(chan struct{})
	u := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	serve := func(w http.ResponseWriter, r *http.Request) {
		first := n.Add(1) == 1
		if !first {
			close(asked)
			<-left
		}
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		ws.ReadMessage()
		if !first {
			ws.ReadMessage() // and says nothing
		}
		dies(ws)
	}
	r := start(t, instances(newEngine(t, serve).url, newEngine(t, serve).url), nil)
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	r.wait(asked, "the second to be asked")
	w.Close()
	close(left)
	r.until("nothing to be open", func() bool { return r.metric("penstock_websocket_connections") == 0 })
}

// A drain waited for limits.stall_timeout where one side read nothing.
func TestDrainDoesNotWaitForATunnelThatIsStuck(t *testing.T) {
	done := make(chan struct{})
	r := start(t, instances(socketEngine(t, func(*websocket.Conn, *http.Request) { <-done }).url), func(c *Config, _ *scheduler.Config) {
		c.DrainTimeout, c.Limits.StallTimeout = short, 4*patience
	})
	defer close(done)
	r.talk(realtime, 0, nil).fill()
	r.stop()
	r.wait(r.ended, "the router to have drained")
}

func TestPingWaitsForTheFrameUnderWay(t *testing.T) {
	u := &tunnel{out: frames{left: 5}}
	if u.inject(controlFrame(opPing, nil)) {
		t.Error("it went into another's frame, or was thought to have gone out")
	}
}

func TestRoutersOwnProtocolIsAgreedOnWhereTheInstanceKnowsNone(t *testing.T) {
	offered := make(chan string, 1)
	r := start(t, instances(socketEngine(t, func(_ *websocket.Conn, r *http.Request) { offered <- r.Header.Get("Sec-WebSocket-Protocol") }).url),
		func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{keyOf("ann", "secret")} })
	w := r.talk(realtime, 0, nil, "penstock.v1", "Bearer.secret")
	if w.Subprotocol() != "penstock.v1" {
		t.Errorf("%q was agreed on", w.Subprotocol())
	}
	if got := <-offered; got != "" {
		t.Errorf("the instance was offered %q", got)
	}
}

func TestHandshakesPriorityIsLookedAt(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), nil)
	r.talk(realtime, 400, http.Header{"X-Penstock-Priority": {"abc"}})
}

// A list may stand on several lines.
func TestHandshakesListsMayBeCut(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{keyOf("ann", "secret")} })
	p := r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: penstock.v1\r\nSec-WebSocket-Protocol: bearer.secret\r\n\r\n", chat)
	if resp, body := p.answer("GET"); resp.StatusCode != 101 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestCloseReasonIsWholeCharacters(t *testing.T) {
	for _, why := range []string{strings.Repeat("€", 60), "a" + strings.Repeat("€", 60), "cut \xe2\x80", strings.Repeat("x", 200)} {
		f := closeFrame(1011, why)
		if len(f) > 2+125 || len(f) != 2+int(f[1]) || !utf8.Valid(f[4:]) {
			t.Errorf("%q: %q", why, f)
		}
	}
}

// What passes is counted over a message's frames, as they say; a frame too many does
// not go on.
func TestMessageThatIsTooLargeToPassIs1009(t *testing.T) {
	const most = 1 << 10
	piece := func(n int) []byte { return make([]byte, n) }
	f := func(sent int, head []byte, rest ...[]byte) {
		t.Helper()
		told, got := make(chan int, 1), make(chan int, 8)
		r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
			ws.SetReadDeadline(time.Now().Add(patience))
			for {
				_, text, err := ws.ReadMessage()
				if err != nil {
					code := 0
					if ce, ok := err.(*websocket.CloseError); ok {
						code = ce.Code
					}
					told <- code
					return
				}
				got <- len(text)
			}
		}).url), limits(func(l *Limits) { l.BodyBytes = most }))
		w := r.talk(realtime, 0, nil)
		w.UnderlyingConn().Write(head)
		for _, p := range rest {
			w.UnderlyingConn().Write(p)
		}
		w.ends(1009)
		if code := <-told; code != 1009 || len(got) != sent {
			t.Errorf("the instance heard %d messages, and a close of %d", len(got), code)
		}
		r.until("the close to be counted", func() bool { return r.metric(`penstock_websocket_closes_total{code="1009"}`) == 1 })
	}
	whole, half := frameOf(true, 2, true, piece(most)), frameOf(false, 2, true, piece(most/2+1))
	f(0, frameOf(true, 2, true, piece(most+1)))
	f(2, whole, whole, frameOf(true, 2, true, piece(70_000)))
	f(1, whole, half, frameOf(true, opPing, true, nil), frameOf(false, 0, true, piece(most/2-1)), frameOf(true, 0, true, piece(1)))
	f(0, half, frameOf(false, 0, true, piece(most/2)))
	f(1, bytes.Join([][]byte{whole, half, frameOf(true, 0, true, piece(most/2))}, nil)) // in one read
	f(0, []byte("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"))            // as much as a frame can say
}

func TestMessagesAsLargeAsTheyMayBePass(t *testing.T) {
	const most = 1 << 10
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		for range 3 {
			ws.ReadMessage()
		}
		ws.WriteMessage(websocket.TextMessage, []byte(strings.Repeat("x", 4*most))) // an answer has no limit
	}).url), limits(func(l *Limits) { l.BodyBytes = most }))
	w := r.talk(realtime, 0, nil)
	for range 3 {
		w.UnderlyingConn().Write(frameOf(false, 2, true, make([]byte, most/2)))
		w.UnderlyingConn().Write(frameOf(true, 0, true, make([]byte, most/2)))
	}
	w.hear(strings.Repeat("x", 4*most))
}

// Each 101 was counted as an answer, also those of instances that were replaced.
func TestTunnelIsOneAnswerWhoeverGaveIt(t *testing.T) {
	for _, second := range []int{101, 404} {
		var n atomic.Int32
		u := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
		serve := func(w http.ResponseWriter, r *http.Request) {
			first := n.Add(1) == 1
			if !first && second != 101 {
				w.WriteHeader(second)
				return
			}
			ws, err := u.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			_, text, _ := ws.ReadMessage()
			if !first {
				ws.WriteMessage(websocket.TextMessage, text)
				ws.ReadMessage()
			}
			dies(ws)
		}
		r := start(t, instances(newEngine(t, serve).url, newEngine(t, serve).url), nil)
		w := r.talk(realtime, 0, nil)
		w.say("hello")
		if second == 101 {
			w.hear("hello")
			if got := r.metric("penstock_pending_seconds_count"); got != 1 {
				t.Errorf("%v answers are counted", got)
			}
			w.Close()
		}
		for series, want := range map[string]float64{
			`penstock_requests_total{route="/v1/realtime",code="101",key=""}`: 1,
			`penstock_pending_seconds_count`:                                  1,
		} {
			r.until(series+" to be counted", func() bool { return r.metric(series) > 0 && r.metric("penstock_gateway_connections") == 0 })
			if got := r.metric(series); got != want {
				t.Errorf("%d: %s is %v, want %v", second, series, got, want)
			}
		}
	}
}
