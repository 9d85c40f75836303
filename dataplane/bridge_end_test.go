package dataplane

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

func TestDrainEndsWebSocketsOnceTheirAnswersAreOut(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, instances(e.url), nil)
	idle, busy := r.talk(chat, 0, nil), r.talk(chat, 0, nil)
	busy.say(ask)
	<-came
	r.stop()
	idle.ends(1001)
	busy.say(ask)
	close(release)
	busy.next()
	busy.hear("[DONE]")
	busy.fails(503, "draining")
	busy.ends(1001)
	r.wait(r.ended, "the end of the gateway")
}

func TestClientThatAnswersNoPingIsGone(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	r := start(t, instances(e.url), nil, func(g *Gateway, _ *scheduler.Scheduler) { g.pingEvery = short })
	deaf, alive := r.talk(chat, 0, nil), r.talk(chat, 0, nil)
	pings := make(chan struct{}, 1024)
	alive.SetPingHandler(func(data string) error {
		pings <- struct{}{}
		return alive.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(patience))
	})
	go alive.ReadMessage()
	deaf.say(ask)
	<-came
	r.until("the deaf one to be gone", func() bool { return r.metric("penstock_websocket_connections") == 1 })
	r.until("its request to be aborted", func() bool { return r.metric(`penstock_aborts_total{when="before_first_byte"}`) == 1 })
	for range 3 {
		<-pings
	}
	if n := r.metric("penstock_websocket_connections"); n != 1 {
		t.Errorf("%v are open, want the one that answers", n)
	}
}

// Pings are answered by whoever reads: a client that sends them and reads nothing
// must not keep him for ever.
func TestClientThatReadsNoPongIsGone(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.StallTimeout = short }))
	w := r.talk(chat, 0, nil)
	ping := append(frameOf(true, opPing, true, make([]byte, 125)), frameOf(true, 1, true, []byte("no request"))...)
	w.UnderlyingConn().SetWriteDeadline(time.Now().Add(patience))
	go func() {
		for range 1 << 20 { // until it is cut off
			if _, err := w.UnderlyingConn().Write(ping); err != nil {
				return
			}
		}
	}()
	r.until("it to be gone", func() bool { return r.metric("penstock_websocket_closes_total{code=\"1006\"}") == 1 })
}

func TestMessageForWhichThereIsNoRoomIsAnError(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), limits(func(l *Limits) { l.BodyBytes, l.HeldBytes = 1<<16, 1<<16 }))
	r.g.held.take(1 << 15)
	w := r.talk(chat, 0, nil)
	w.say(`{"model":"m","prompt":"` + strings.Repeat("x", 1<<15) + `"}`)
	w.fails(429, "queue_full")
	w.say(ask)
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	r.g.held.give(1 << 15)
	r.until("what it held to be given back", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
}

func TestIdleWebSocketIsClosed(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.IdleTimeout = short }, func(g *Gateway, _ *scheduler.Scheduler) { g.pingEvery = short })
	r.talk(chat, 0, nil).ends(1001)
}

// A client that says goodbye and hangs up in one breath was counted as one that
// had left without a word: its FIN overtook what it had said.
func TestGoodbyeBeforeTheEndIsHeard(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	const many = 200
	for range many {
		c := r.talk(chat, 0, nil).UnderlyingConn()
		c.Write(frameOf(true, opClose, true, []byte{0x03, 0xe8}))
		c.Close()
	}
	r.until("all to be gone", func() bool { return r.metric("penstock_websocket_connections") == 0 })
	if n := r.metric(`penstock_websocket_closes_total{code="1000"}`); n != many {
		t.Errorf("%v of %d were heard", n, many)
	}
}

// Python's websockets pings by itself every 20 s: to be there is no use.
func TestClientThatOnlyPingsIsIdle(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.IdleTimeout = 4 * short })
	w := r.talk(chat, 0, nil)
	ping := frameOf(true, opPing, true, nil)
	r.until("it to be closed", func() bool {
		w.UnderlyingConn().Write(ping)
		return r.metric(`penstock_websocket_closes_total{code="1001"}`) == 1
	})
}

// Whether anything was under way was asked at pings only, so that a client of many
// short requests was taken for idle at its first pause.
func TestIdleTimeBeginsWithTheLastAnswer(t *testing.T) {
	const limit = 8 * short
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.IdleTimeout = limit }, func(g *Gateway, _ *scheduler.Scheduler) { g.pingEvery = short })
	w := r.talk(chat, 0, nil)
	last := time.Now()
	for begun := last; last.Sub(begun) < limit; {
		last = time.Now()
		w.say(ask)
		w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	}
	w.ends(1001)
	if idle := time.Since(last); idle < limit {
		t.Errorf("closed %v after the last request, the limit is %v", idle, limit)
	}
}

// A message that comes in drops held its place in memory for as long as it liked.
func TestSlowMessageEndsTheConnection(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.BodyTimeout = 4 * short }))
	w := r.talk(chat, 0, nil)
	c, opcode := w.UnderlyingConn(), byte(1)
	r.until("it to be closed", func() bool {
		c.Write(frameOf(false, opcode, true, []byte("x")))
		opcode = 0
		return r.metric(`penstock_websocket_closes_total{code="1008"}`) == 1
	})
	if n := r.metric("penstock_gateway_held_bytes"); n != 0 {
		t.Errorf("%v bytes are held", n)
	}
	alive := r.talk(chat, 0, nil)
	alive.say("no request") // nor does the time of one count for the next
	alive.fails(400, "invalid_request")
}

// Compressed data that ends too early was taken for a client that has left, which
// heard nothing of it.
func TestCutCompressionIsAnErrorOfTheProtocol(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	d := websocket.Dialer{EnableCompression: true}
	for packed, code := range map[string]int{
		"\xff":                     1002, // no block
		"\xec\xbd":                 1002, // half a dynamic one
		"\x00\xff\xff\x00\x00half": 1007, // half a stored one: the end that every message lacks, which the library adds, is its next bytes, and no UTF-8
	} {
		ws, _, err := d.Dial("ws://"+r.addr+chat, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		ws.SetReadDeadline(time.Now().Add(patience))
		ws.UnderlyingConn().Write(frameOf(true, 0x41, true, []byte(packed)))
		(&talker{r, ws}).ends(code)
	}
}

func free(m *sync.Mutex) bool {
	if !m.TryLock() {
		return false
	}
	m.Unlock()
	return true
}

// A client that lets a compressed answer stand in its socket held a compressor, 800
// KiB, until its time was over.
func TestClientThatReadsNothingHoldsNoCompressor(t *testing.T) {
	const clients, size, most = 16, 128 << 10, 800 << 10
	noise := make([]byte, size/2)
	rand.Read(noise)
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, "%q", hex.EncodeToString(noise))
	}).url), nil)
	before := live()
	d := websocket.Dialer{EnableCompression: true}
	for range clients {
		ws, _, err := d.Dial("ws://"+r.addr+chat, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		ws.UnderlyingConn().(*net.TCPConn).SetReadBuffer(1)
		var open []*bridge
		r.until("it to be open", func() bool { open = r.g.sockets.idle(); return len(open) == 1 })
		open[0].conn.(*net.TCPConn).SetWriteBuffer(1)
		(&talker{r, ws}).say(ask)
		r.until("its answer to stand", func() bool { return !open[0].idle() && !free(&open[0].writing) })
	}
	if each := (live() - before) / clients; each > most {
		t.Errorf("each client holds %d bytes", each)
	}
}

// What was wrong with the messages of somebody who had shown a key was counted as
// nobody's.
func TestRefusedMessagesAreTheirKeys(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{keyOf("ann", "secret")} })
	w := r.talk(chat, 0, nil, "penstock.v1", "bearer.secret")
	w.say("no request")
	w.say(`{"cancel": true}`)
	w.fails(400, "invalid_request")
	w.fails(400, "invalid_request")
	r.until("both to be counted", func() bool {
		return r.metric(`penstock_requests_total{route="/v1/chat/completions",code="400",key="ann"}`) == 2
	})
}

// Answers that nobody reads kept their instance for limits.stall_timeout after the
// client had left.
func TestClientThatLeavesWithoutReadingFreesItsInstance(t *testing.T) {
	stuck, done := make(chan struct{}), make(chan struct{})
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w)
		for taken := true; taken; {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(4 * short))
			_, err := io.WriteString(w, "data: {\"choices\":[{\"text\":\""+strings.Repeat("x", 64<<10)+"\"}]}\n\n")
			taken = err == nil
		}
		close(stuck)
		<-done
	}).url), limits(func(l *Limits) { l.StallTimeout = 4 * patience }))
	defer close(done)
	w := r.talk(chat, 0, nil)
	w.say(askStream)
	r.wait(stuck, "the answer to be held up")
	w.UnderlyingConn().(*net.TCPConn).CloseWrite()
	r.until("the instance to be free", func() bool { return r.metric("penstock_websocket_connections") == 0 })
}
