package load

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fasthttp/websocket"
)

// sockets is an endpoint whose requests come as messages; answer says what it has
// to say to each.
func sockets(t *testing.T, answer func(number int, body string) []string) (url string, opened *atomic.Int32) {
	opened = new(atomic.Int32)
	var u websocket.Upgrader
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(401)
			return
		}
		ws, err := u.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		opened.Add(1)
		for n := 0; ; n++ {
			_, body, err := ws.ReadMessage()
			if err != nil {
				return
			}
			for _, text := range answer(n, string(body)) {
				if text == "hang up" {
					return
				}
				ws.WriteMessage(websocket.TextMessage, []byte(text))
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, opened
}

func overSockets(url string, requests int) Config {
	cfg := short(url, requests)
	cfg.WebSocket, cfg.APIKeys = true, []string{"secret"}
	return cfg
}

const token = `{"choices":[{"delta":{"content":"a"}}]}`

func TestRequestsGoOverOneWebSocketAWorker(t *testing.T) {
	url, opened := sockets(t, func(_ int, body string) []string {
		if !strings.Contains(body, `"stream":true`) {
			t.Errorf("sent %s", body)
		}
		return []string{token, token, `{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}`, "[DONE]"}
	})
	r := mustRun(t, overSockets(url, 20))
	if r.Completed != 20 || r.OutputTokens != 40 || r.InputTokens != 140 || len(r.Errors) != 0 {
		t.Errorf("%+v", r)
	}
	if n := opened.Load(); n > 2 {
		t.Errorf("two workers opened %d", n)
	}
}

func TestWholeAnswersAndErrorsOverAWebSocket(t *testing.T) {
	url, _ := sockets(t, func(n int, _ string) []string {
		switch n % 3 {
		case 0:
			return []string{`{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}`, "[DONE]"}
		case 1:
			return []string{`{"error":{"message":"full","status":429}}`}
		}
		return []string{`{"error":{"message":"broken","code":"x","status":502}}`}
	})
	cfg := overSockets(url, 9)
	cfg.Stream, cfg.Concurrency = false, 1
	r := mustRun(t, cfg)
	if r.Completed != 3 || r.Rejected != 3 || r.Errors["502"] != 3 {
		t.Errorf("completed %d, rejected %d: %v", r.Completed, r.Rejected, r.Errors)
	}
	if r.Codes["429"] != 3 || !strings.Contains(r.Messages["rejected 429"], "full") {
		t.Errorf("why they were rejected: %v %v", r.Codes, r.Messages)
	}
}

func TestSocketThatHangsUpIsAnErrorAndOpenedAnew(t *testing.T) {
	url, opened := sockets(t, func(int, string) []string { return []string{token, "hang up"} })
	cfg := overSockets(url, 4)
	cfg.Concurrency = 1
	if r := mustRun(t, cfg); r.Requests != 4 || r.Completed != 0 || opened.Load() != 4 {
		t.Errorf("completed %d, opened %d: %v", r.Completed, opened.Load(), r.Errors)
	}
	cfg.APIKeys = nil
	cfg.Model = "m"
	if r := mustRun(t, cfg); r.Errors["401"] != 4 {
		t.Errorf("%v", r.Errors)
	}
}

func TestRefusedHandshakesSayWhy(t *testing.T) {
	f := func(status int, code, body string) Report {
		t.Helper()
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if code != "" {
				w.Header().Set("X-Penstock-Error", code)
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return mustRun(t, overSockets(s.URL, 2))
	}
	r := f(429, "rate_limited", `{"error":{"message":"as many as it may","code":"rate_limited"}}`)
	if r.Rejected != 2 || r.Codes["rate_limited"] != 2 || !strings.Contains(text(t, r), "as many as it may") {
		t.Errorf("429: %s", text(t, r))
	}
	r = f(403, "origin_not_allowed", `{"error":{"message":"not this page"}}`)
	if got, want := r.Messages["403"], `the handshake of the WebSocket: status 403 {"error":{"message":"not this page"}}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, status := range []int{403, 404, 405} { // as engines say it
		r = f(status, "", "Not so")
		if got := r.Messages[classOfStatus(status)]; !strings.Contains(got, "engines take no requests over WebSockets") || !strings.Contains(got, "Not so") {
			t.Errorf("%d: got %q", status, got)
		}
	}
}
