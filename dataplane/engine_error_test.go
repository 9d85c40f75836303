package dataplane

import (
	"net/http"
	"strings"
	"testing"

	"penstock/scheduler"
)

// An engine's error in a stream was followed by [DONE], which whoever used the id
// again took for the next one's.
func TestEnginesErrorInAStreamIsTheLastWord(t *testing.T) {
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w)
		event(w, `{"choices":[{"text":"a"}]}`)
		event(w, `{"error":{"message":"no","code":422}}`)
		event(w, "[DONE]")
	}).url), nil)
	w := r.talk(chat, 0, nil)
	for range 2 {
		w.say(`{"id":"a","request":` + askStream + `}`)
		w.hear(`{"id":"a","data":{"choices":[{"text":"a"}]}}`)
		if got := requestID.ReplaceAllString(w.next(), `"request_id":"ID"`); got != `{"id":"a","error":{"code":422,"message":"no","request_id":"ID","status":422}}` {
			t.Errorf("got %s", got)
		}
	}
}

// A chunk that says it has no error was taken for one, and had two ids.
func TestNoErrorIsData(t *testing.T) {
	const chunk = `{"error":null,"id":"cmpl-1","choices":[{"text":"an \"error\""}]}`
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w)
		event(w, chunk)
		event(w, "[DONE]")
	}).url), nil)
	w := r.talk(chat, 0, nil)
	w.say(`{"id":"a","request":` + askStream + `}`)
	w.hear(`{"id":"a","data":`+chunk+`}`, `{"id":"a","data":"[DONE]"}`)
}

func TestFailureOf(t *testing.T) {
	for event, want := range map[string]int{
		`{"error":{"message":"no","code":400}}`: 400, `{"error":{"message":"no"}}`: 502, `{"object":"error","error":{"code":"x"}}`: 502,
		`{"error":{"code":200}}`: 502, `{"error":{"code":1e3}}`: 502, `{"error":null}`: 0, `{"choices":[{"text":"\"error\""}]}`: 0, `"error"`: 0, `{"error":"text"}`: 0, ``: 0,
	} {
		if got := failureOf([]byte(event)); got != want {
			t.Errorf("%s: %d, want %d", event, got, want)
		}
	}
}

// A browser takes compressed pages, and its handshake says so: as a request's
// header it made engines compress what comes out as text.
func TestMessagesAskForNothingCompressed(t *testing.T) {
	seen := make(chan http.Header, 1)
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		streamer(w, r)
	}).url), nil)
	w := r.talk(chat, 0, http.Header{"Accept-Encoding": {"gzip, br"}, "If-None-Match": {"x"}, "X-Of-Ours": {"y"}})
	w.say(ask)
	if h := <-seen; h.Get("Accept-Encoding") != "" || h.Get("If-None-Match") != "" || h.Get("X-Of-Ours") != "y" {
		t.Errorf("the engine was asked with %v", h)
	}
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
}

func TestRefusedMessagesCountForTheirKey(t *testing.T) {
	key := keyOf("ann", "secret")
	key.RequestsPerMinute = 3
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{key} })
	w := r.talk(chat, 0, http.Header{"Authorization": {"Bearer secret"}})
	limited := 0
	for range 6 {
		w.say(`{"cancel": true}`)
		if strings.Contains(w.next(), `"code":"rate_limited"`) {
			limited++
		}
	}
	if limited < 3 {
		t.Errorf("%d of 6 were past the limit of 3 a minute", limited)
	}
}
