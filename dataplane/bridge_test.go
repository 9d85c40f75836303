package dataplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

// talker is a client's WebSocket.
type talker struct {
	*rig
	*websocket.Conn
}

// talk opens one, or wants a refusal of that status.
func (r *rig) talk(path string, refused int, header http.Header, protocols ...string) *talker {
	r.t.Helper()
	d := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patience}
	ws, resp, err := d.Dial("ws://"+r.addr+path, header)
	if refused != 0 {
		if err == nil || resp == nil || resp.StatusCode != refused {
			r.t.Fatalf("the handshake: %v, want %d", err, refused)
		}
		return nil
	}
	if err != nil {
		r.t.Fatalf("the handshake: %v", err)
	}
	ws.SetReadDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { ws.Close() })
	return &talker{r, ws}
}

func (w *talker) say(text string) {
	w.t.Helper()
	if err := w.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

// hear wants these messages.
func (w *talker) hear(want ...string) {
	w.t.Helper()
	for _, s := range want {
		if got := w.next(); got != s {
			w.t.Fatalf("got %s, want %s", got, s)
		}
	}
}

func (w *talker) next() string {
	w.t.Helper()
	kind, text, err := w.ReadMessage()
	if err != nil || kind != websocket.TextMessage {
		w.t.Fatalf("message of kind %d: %v", kind, err)
	}
	return string(text)
}

// fails wants an error message of that status and code.
func (w *talker) fails(status int, code string) {
	w.t.Helper()
	text := w.next()
	var m struct {
		Error struct {
			Message, Type, Code string
			Status              int
		}
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil || m.Error.Status != status || m.Error.Code != code || m.Error.Message == "" || m.Error.Type == "" {
		w.t.Fatalf("got %s, want an error of %d %s", text, status, code)
	}
}

// ends wants the connection to be closed with a code.
func (w *talker) ends(code int) {
	w.t.Helper()
	_, text, err := w.ReadMessage()
	if !websocket.IsCloseError(err, code) {
		w.t.Fatalf("got %q, %v; want a close of %d", text, err, code)
	}
}

// streamer answers a stream of two tokens, or in one piece.
func streamer(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	if !strings.Contains(string(b), `"stream":true`) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"id":"c","choices":[{"text":"hi"}]}`))
		return
	}
	sse(w)
	event(w, `{"choices":[{"text":"a"}]}`)
	event(w, `{"choices":[{"text":"b"}]}`)
	event(w, "[DONE]")
}

const chat = "/v1/chat/completions"

func TestMessagesAreRequests(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), nil)
	w := r.talk(chat, 0, nil)
	for range 2 { // one after the other on one connection
		w.say(askStream)
		w.hear(`{"choices":[{"text":"a"}]}`, `{"choices":[{"text":"b"}]}`, "[DONE]")
		w.say(ask)
		w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	}
	w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
	w.ends(1000)
	r.until("the close to be counted", func() bool { return r.metric(`penstock_websocket_closes_total{code="1000"}`) == 1 })
	for series, want := range map[string]float64{
		`penstock_websocket_connections`:                                          0,
		`penstock_websocket_messages_total{kind="bridge",direction="in"}`:         4,
		`penstock_websocket_messages_total{kind="bridge",direction="out"}`:        10,
		`penstock_websocket_messages_total{kind="tunnel",direction="in"}`:         0,
		`penstock_websocket_closes_total{kind="bridge",code="1000"}`:              1,
		`penstock_websocket_closes_total{kind="tunnel",code="1000"}`:              0,
		`penstock_requests_total{route="/v1/chat/completions",code="200",key=""}`: 4,
		`penstock_requests_total{route="/v1/chat/completions",code="101",key=""}`: 1,
		`penstock_ttft_seconds_count`:                                             4,
		`penstock_gateway_requests`:                                               0,
	} {
		r.until(fmt.Sprintf("%s to be %v, it is %v", series, want, r.metric(series)), func() bool { return r.metric(series) == want })
	}
}

func TestEngineSeesARequestAsIfItHadComeByHTTP(t *testing.T) {
	seen := make(chan *http.Request, 1)
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(b)))
		seen <- r
		ok(w, r)
	}).url), nil)
	w := r.talk("/api/predict/llm_group.llm_router_llm_gateway"+chat+"?a=b", 0, http.Header{"X-Session-Id": {"s"}, "X-My": {"own"}, "Origin": {"http://page"}})
	w.say(ask)
	got := <-seen
	if got.Method != "POST" || got.URL.String() != chat+"?a=b" || got.Header.Get("X-My") != "own" || got.Header.Get("Content-Type") != "application/json" || got.ContentLength != int64(len(ask)) {
		t.Errorf("%s %s %v", got.Method, got.URL, got.Header)
	}
	for _, name := range []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol", "Origin"} {
		if v, has := got.Header[name]; has {
			t.Errorf("the engine got %s: %v", name, v)
		}
	}
	w.next()
	w.hear("[DONE]")
}

func TestWhatIsNoRequestIsAnErrorAndTheConnectionLives(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), nil)
	w := r.talk(chat, 0, nil)
	r.until("the model to be known", func() bool { return len(r.sched.Models()) > 0 })
	for _, c := range []struct {
		text   string
		status int
		code   string
	}{
		{"hello", 400, "invalid_request"},
		{"", 400, "invalid_request"},
		{`{"model":"m"`, 400, "invalid_request"},
		{`{"model":"none","messages":[]}`, 404, "model_not_found"},
		{`{"id":7,"request":{"model":"m"}}`, 400, "invalid_request"},
		{`{"id":"","request":{"model":"m"}}`, 400, "invalid_request"},
		{`{"id":"` + strings.Repeat("x", 200) + `","request":{"model":"m"}}`, 400, "invalid_request"},
		{`{"request":{"model":"m"}}`, 400, "invalid_request"},
		{`{"id":"a"}`, 400, "invalid_request"},
		{`{"id":"a","cancel":true}`, 400, "invalid_request"},
	} {
		w.say(c.text)
		w.fails(c.status, c.code)
	}
	w.WriteMessage(websocket.BinaryMessage, []byte(ask))
	w.fails(400, "invalid_request")
	w.say(ask)
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
}

func TestTooLargeOrNotUTF8EndsTheConnection(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), limits(func(l *Limits) { l.BodyBytes = 1 << 16 }))
	w := r.talk(chat, 0, nil)
	w.say(`{"model":"m","prompt":"` + strings.Repeat("x", 1<<16) + `"}`)
	w.ends(1009)
	w = r.talk(chat, 0, nil)
	w.say("{\"model\":\"\xff\"}")
	w.ends(1007)
	w = r.talk(chat, 0, nil)
	w.UnderlyingConn().Write([]byte{0xff, 0xff, 0, 0, 0})
	w.ends(1002)
	r.until("what it held to be given back", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
}

// No end makes UTF-8 of what has come: there is nothing to wait for.
func TestTextThatIsNoUTF8EndsTheConnectionAtOnce(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), nil)
	f := func(code int, frames ...[]byte) {
		t.Helper()
		w := r.talk(chat, 0, nil)
		w.UnderlyingConn().Write(bytes.Join(frames, nil))
		if code == 1000 {
			w.fails(400, "invalid_request")
			w.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(patience))
		}
		w.ends(code)
	}
	f(1007, frameOf(false, 1, true, []byte("a\xf4\x90")))                                         // more frames are to come
	f(1007, frameOf(false, 1, true, []byte("a\xce")), frameOf(false, 0, true, []byte("a")))       // cut within a character
	f(1007, frameOf(true, 1, true, []byte("a\xed\xa0 and much more"))[:12])                       // more of the frame is to come
	f(1007, frameOf(true, 1, true, []byte("a\xce")))                                              // ends within a character
	f(1007, frameOf(false, 1, true, []byte("a\xce")), frameOf(true, 0, true, nil))                // and so does this one
	f(1000, frameOf(false, 1, true, []byte("a\xce")), frameOf(true, 0, true, []byte("\xbb")))     // λ
	f(1000, frameOf(false, 2, true, []byte("a\xf4\x90")), frameOf(true, 0, true, []byte("\xff"))) // is not text
	r.until("what they held to be given back", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
	if n := r.metric(`penstock_websocket_closes_total{code="1007"}`); n != 5 {
		t.Errorf("%v closes of 1007, want 5", n)
	}
}

func TestInflatedTooLargeEndsTheConnection(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), limits(func(l *Limits) { l.BodyBytes = 1 << 16 }))
	d := websocket.Dialer{EnableCompression: true}
	ws, resp, err := d.Dial("ws://"+r.addr+chat, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if !strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
		t.Fatal("no compression was agreed on")
	}
	w := &talker{r, ws}
	w.SetReadDeadline(time.Now().Add(patience))
	w.say(ask)
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	w.say(`{"model":"m","prompt":"` + strings.Repeat("x", 1<<24) + `"}`)
	w.ends(1009)
}

func TestRequestsWithIDsRunSideBySide(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, instances(e.url), func(c *Config, _ *scheduler.Config) { c.WebSocket.Requests = 2 })
	w := r.talk("/v1/completions", 0, nil)
	w.say(`{"id":"a","request":` + numbered(1) + `}`)
	w.say(`{"id":"b\"","request":` + numbered(2) + `}`)
	got := []string{<-came, <-came}
	if slices.Sort(got); !slices.Equal(got, []string{numbered(1), numbered(2)}) {
		t.Fatalf("%q came", got)
	}
	w.say(`{"id":"a","request":` + numbered(3) + `}`)
	if text := w.next(); !strings.HasPrefix(text, `{"id":"a","error":{`) || !strings.Contains(text, `"status":400`) {
		t.Errorf("the same id: %s", text)
	}
	w.say(`{"id":"c","request":` + numbered(3) + `}`)
	if text := w.next(); !strings.HasPrefix(text, `{"id":"c","error":{`) || !strings.Contains(text, `"status":429`) {
		t.Errorf("one too many: %s", text)
	}
	w.say(`{"id":"a","cancel":true}`)
	if text := w.next(); !strings.HasPrefix(text, `{"id":"a","error":{`) || !strings.Contains(text, `"code":"cancelled"`) {
		t.Errorf("the cancelled: %s", text)
	}
	close(release) // the engine may not have heard yet that nobody wants the first
	if text := w.next(); !strings.HasPrefix(text, `{"id":"b\"","data":{"id":"cmpl-1"`) {
		t.Errorf("the other: %s", text)
	}
	w.hear(`{"id":"b\"","data":"[DONE]"}`)
	r.until("the abort to be counted", func() bool { return r.metric(`penstock_aborts_total{when="before_first_byte"}`) == 1 })
}

func TestRequestsWithoutIDsAreInOrder(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, instances(e.url), nil)
	w := r.talk("/v1/completions", 0, nil)
	for n := range mostHeld + 1 {
		w.say(numbered(n))
	}
	w.fails(429, "queue_full")
	for n := range mostHeld {
		if got := <-came; got != numbered(n) {
			t.Fatalf("%s came as number %d", got, n)
		}
		select {
		case got := <-came:
			t.Fatalf("%s came before the one before was answered", got)
		default:
		}
		release <- struct{}{}
		w.next()
		w.hear("[DONE]")
	}
}

func TestBrowsersKeyIsASubprotocol(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) {
		c.Auth.Keys = []Key{keyOf("ann", "secret")}
		c.WebSocket.PerKey, c.WebSocket.Origins = 1, []string{"https://chat.example"}
	})
	r.talk(chat, 401, nil)
	r.talk(chat, 401, nil, "penstock.v1", "bearer.wrong")
	r.talk(chat, 403, http.Header{"Origin": {"https://evil.example"}}, "penstock.v1", "bearer.secret")
	w := r.talk(chat, 0, http.Header{"Origin": {"https://chat.example"}}, "penstock.v1", "bearer.secret")
	if got := w.Subprotocol(); got != "penstock.v1" {
		t.Errorf("subprotocol %q", got)
	}
	w.say(ask)
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	r.talk(chat, 429, nil, "penstock.v1", "bearer.secret")
	w.Close()
	r.until("the place to be free", func() bool { return r.metric("penstock_websocket_connections") == 0 })
	w = r.talk(chat, 0, http.Header{"Authorization": {"Bearer secret"}})
	w.say(ask)
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
}

func TestHandshakeThatIsNoneIsRefusedInOpenAIsShape(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), nil)
	for _, c := range []struct {
		status                       int
		code, path, version, key, by string
	}{
		{404, "route_not_found", "/v1/embeddings", "13", "AAAAAAAAAAAAAAAAAAAAAA==", "GET"},
		{404, "route_not_found", "/nowhere", "13", "AAAAAAAAAAAAAAAAAAAAAA==", "GET"},
		{426, "upgrade_required", chat, "8", "AAAAAAAAAAAAAAAAAAAAAA==", "GET"},
		{400, "invalid_request", chat, "13", "short", "GET"},
		{405, "method_not_allowed", chat, "13", "AAAAAAAAAAAAAAAAAAAAAA==", "PUT"},
	} {
		p := r.dial()
		p.send("%s %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: %s\r\nSec-WebSocket-Key: %s\r\n\r\n", c.by, c.path, c.version, c.key)
		resp, body := p.whole()
		expect(t, resp, body, c.status, c.code)
		if c.status == 426 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Error("426 does not say which version")
		}
	}
}

func TestEnginesErrorHasItsStatus(t *testing.T) {
	answer := make(chan string, 1)
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(422)
		io.WriteString(w, <-answer)
	}).url), nil)
	w := r.talk(chat, 0, nil)
	for text, want := range map[string]string{
		`{"error":{"message":"no","code":7}}`:          `{"error":{"code":7,"message":"no","request_id":"ID","status":422}}`,
		`{"object":"error","message":"no","code":422}`: `{"error":{"code":422,"message":"no","object":"error","request_id":"ID","status":422}}`,
		`plain`: `{"error":{"message":"plain","type":"invalid_request_error","param":null,"code":"instance_error","status":422,"request_id":"ID"}}`,
	} {
		answer <- text
		w.say(ask)
		got := w.next()
		if got = requestID.ReplaceAllString(got, `"request_id":"ID"`); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// requestID is what penstock explain is asked with, by whom an error tells it.
var requestID = regexp.MustCompile(`"request_id":"[0-9a-f]{32}"`)

func TestEngineThatDiesIsRetriedUnseenOrTold(t *testing.T) {
	dead := newEngine(t, reset)
	good := newEngine(t, streamer)
	r := start(t, instances(dead.url, good.url), nil)
	w := r.talk(chat, 0, nil)
	for range 4 {
		w.say(askStream)
		w.hear(`{"choices":[{"text":"a"}]}`, `{"choices":[{"text":"b"}]}`, "[DONE]")
	}
	cut := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		sse(w)
		event(w, `{"choices":[{"text":"a"}]}`)
		c, _ := hijack(w)
		c.Close()
	})
	r = start(t, instances(cut.url), nil)
	w = r.talk(chat, 0, nil)
	for range 2 {
		w.say(askStream)
		w.hear(`{"choices":[{"text":"a"}]}`)
		w.fails(502, "instance_failed")
	}
}

// The answer to a handshake has its id, as every other; each message has its own.
func TestHandshakesAnswerHasItsRequestID(t *testing.T) {
	seen := make(chan string, 2)
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Request-Id")
		streamer(w, r)
	}).url, socketEngine(t, echo).url), nil)
	r.well()
	r.sched.Drain("b", true)
	ids := map[string]bool{"mine": true}
	p := r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-Request-Id: mine\r\n\r\n", chat)
	if id := p.response().Header.Get("X-Request-Id"); id != "mine" {
		t.Errorf("the handshake's id is %q", id)
	}
	for range 2 {
		p.Write(frameOf(true, 1, true, []byte(ask)))
		ids[<-seen] = true
	}
	if len(ids) != 3 || ids[""] {
		t.Errorf("ids %v", ids)
	}
	r.sched.Drain("a", true)
	r.sched.Drain("b", false)
	p = r.dial()
	p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", realtime)
	if id := p.response().Header["X-Request-Id"]; len(id) != 1 || !validID([]byte(id[0])) {
		t.Errorf("the ids of a handshake that passes through are %q", id)
	}
}

// HTTP/1.0 knows no Upgrade, and one that Connection does not name is none (RFC 6455,
// 4.1): the first was served, the second told that its path takes POST.
func TestHandshakeIsOfHTTP11AndNamesTheUpgrade(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), nil)
	for _, path := range []string{chat, realtime} {
		for head, word := range map[string]string{
			"1.0\r\nHost: x\r\nConnection: Upgrade\r\n":             "HTTP/1.0",
			"1.0\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n": "HTTP/1.0",
			"1.1\r\nHost: x\r\n":                                    "Connection: Upgrade",
			"1.1\r\nHost: x\r\nConnection: keep-alive\r\n":          "Connection: Upgrade",
		} {
			p := r.dial()
			p.send("GET %s HTTP/%sUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, head)
			resp, body := p.whole()
			expect(t, resp, body, 400, "invalid_request")
			if !strings.Contains(body, word) {
				t.Errorf("%q: %s", head, body)
			}
		}
	}
	p := r.dial() // an Upgrade that means nothing
	p.send("GET /v1/models HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n")
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
}
