package dataplane

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

// What a client said while no instance was there was forgotten beyond 256 KiB, and
// the next instance heard what came behind the hole, as if it was all.
func TestNoInstanceHearsWhatComesBehindAHole(t *testing.T) {
	var n atomic.Int32
	asked, full := make(chan struct{}), make(chan struct{})
	heard := make(chan string, 1)
	u := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	serve := func(w http.ResponseWriter, r *http.Request) {
		first := n.Add(1) == 1
		if !first {
			close(asked)
			<-full
		}
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		if _, text, err := ws.ReadMessage(); !first && err == nil {
			heard <- string(text)
		}
		dies(ws)
	}
	r := start(t, instances(newEngine(t, serve).url, newEngine(t, serve).url), nil)
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	r.wait(asked, "the second to be asked")
	for range mostSaid / (32 << 10) {
		w.say(strings.Repeat("x", 32<<10))
	}
	r.until("all to be taken in", func() bool {
		return r.metric(`penstock_websocket_messages_total{direction="in"}`) == 1+mostSaid/(32<<10)
	})
	close(full)
	r.until("the end, or the instance to hear of it", func() bool {
		w.WriteMessage(websocket.TextMessage, []byte("more"))
		return len(heard) > 0 || r.metric(`penstock_websocket_closes_total{code="1011"}`) == 1
	})
	w.ends(1011)
	select {
	case text := <-heard:
		t.Errorf("the instance heard %.20q first", text)
	default:
	}
	if got := r.metric(`penstock_aborts_total{when="streaming"}`); got != 0 {
		t.Errorf("%v clients are said to have left", got)
	}
}

// The ping for a client that read nothing waited for what it did not take, and what it
// said was not read meanwhile: if it read only once it had said all, neither went on.
func TestClientThatReadsNothingIsHeard(t *testing.T) {
	const pieces, size = 512, 64 << 10
	var got atomic.Int64
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		go func() {
			for ws.WriteMessage(websocket.BinaryMessage, make([]byte, size)) == nil {
			}
		}()
		for {
			_, piece, err := ws.ReadMessage()
			if err != nil {
				return
			}
			got.Add(int64(len(piece)))
		}
	}).url), nil, func(g *Gateway, _ *scheduler.Scheduler) { g.pingEvery = short })
	w := r.talk(realtime, 0, nil)
	passed, since := 0.0, time.Now()
	r.until("nothing more to be taken, for longer than a ping waits", func() bool {
		if now := r.metric(`penstock_websocket_messages_total{direction="out"}`); now != passed {
			passed, since = now, time.Now()
		}
		return passed > 0 && time.Since(since) > 4*short
	})
	w.SetWriteDeadline(time.Now().Add(patience / 4))
	for n := range pieces {
		if err := w.WriteMessage(websocket.BinaryMessage, make([]byte, size)); err != nil {
			t.Fatalf("after %d pieces: %v", n, err)
		}
	}
	r.until("all to be heard", func() bool { return got.Load() == pieces*size })
}

// An instance that ended the connection where the client had closed was said to have
// failed: a few clients that closed as they should took it out, and if it had said
// nothing, the next was told the same.
func TestInstanceThatHangsUpOnAGoodbyeHasNotFailed(t *testing.T) {
	for _, answers := range []bool{true, false} {
		var opened atomic.Int32
		serve := func(ws *websocket.Conn, _ *http.Request) {
			opened.Add(1)
			ws.SetCloseHandler(func(int, string) error { return nil })
			for {
				kind, text, err := ws.ReadMessage()
				if err != nil {
					return
				}
				if answers {
					ws.WriteMessage(kind, text)
				}
			}
		}
		r := start(t, instances(socketEngine(t, serve).url, socketEngine(t, serve).url), nil)
		r.well()
		const clients = 8
		for range clients {
			w := r.talk(realtime, 0, nil)
			w.say("hello")
			if answers {
				w.hear("hello")
			}
			w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
			if code := closeOf(w.Conn); code != 0 && code != 1006 {
				t.Errorf("the client was told %d", code)
			}
			w.Close()
		}
		r.until("all to be over", func() bool { return r.metric("penstock_websocket_connections") == 0 })
		for _, i := range r.sched.Instances() {
			if s := fmt.Sprint(i.State()); s != "healthy" {
				t.Errorf("answers %v: %s is %s", answers, i.Name, s)
			}
		}
		if n := opened.Load(); n != clients {
			t.Errorf("answers %v: %d were opened, want %d", answers, n, clients)
		}
		if n := r.metric(`penstock_websocket_closes_total{code="1000"}`); n != clients {
			t.Errorf("answers %v: %v closes of 1000, want %d", answers, n, clients)
		}
	}
}
