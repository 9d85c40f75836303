package dataplane

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// Any 101 of an instance was passed on, whatever it said: the client gave up, and no
// other instance was asked.
func TestInstanceThatAnswersAHandshakeWronglyIsReplacedUnseen(t *testing.T) {
	for _, wrong := range []string{
		"Upgrade: websocket\r\nConnection: Upgrade\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\nSec-WebSocket-Accept: ACCEPT\r\n",
		"Upgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n",
		"Connection: Upgrade\r\nSec-WebSocket-Accept: ACCEPT\r\n",
		"Upgrade: websocket\r\nSec-WebSocket-Accept: ACCEPT\r\n",
	} {
		var n atomic.Int32
		good := socketEngine(t, echo)
		answer := good.answer
		serve := func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) > 1 {
				answer(w, r)
				return
			}
			accept := challengeAnswer([]byte(r.Header.Get("Sec-WebSocket-Key")))
			raw("HTTP/1.1 101 Switching Protocols\r\n"+strings.ReplaceAll(wrong, "ACCEPT", accept)+"\r\n")(w, r)
		}
		r := start(t, instances(newEngine(t, serve).url, newEngine(t, serve).url), nil)
		w := r.talk(realtime, 0, nil)
		w.say("hello")
		w.hear("hello")
		if ok := r.metric(`penstock_retries_total{outcome="ok"}`); ok != 0 || n.Load() != 2 {
			t.Errorf("%q: %d were asked, %v retries have ended", wrong, n.Load(), ok)
		}
		w.Close()
		r.until("the retry to be counted", func() bool { return r.metric(`penstock_retries_total{outcome="ok"}`) == 1 })
	}
}

func TestHandshakeThatNoInstanceAnswersRightlyIsRefused(t *testing.T) {
	r := start(t, instances(newEngine(t, raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")).url), nil)
	p := r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", realtime)
	resp, body := p.whole()
	expect(t, resp, body, 502, "instance_failed")
	if !strings.Contains(body, "Sec-WebSocket-Accept") {
		t.Errorf("it does not say what was wrong: %s", body)
	}
}

// Ends differ in which of two keys they answer: the instance would have been blamed.
func TestHandshakeHasOneKey(t *testing.T) {
	var asked atomic.Int32
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.Copy(io.Discard, r.Body)
	}).url), nil)
	p := r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key: BAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", realtime)
	resp, body := p.whole()
	expect(t, resp, body, 400, "invalid_request")
	if asked.Load() != 0 {
		t.Error("the instance was asked")
	}
}
