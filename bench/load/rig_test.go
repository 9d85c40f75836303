package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 20 * time.Second

// serve runs an endpoint whose completions the test writes itself.
func serve(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	return serveConns(t, answer, nil)
}

// serveConns also tells what the server's connections do.
func serveConns(t *testing.T, answer http.HandlerFunc, state func(net.Conn, http.ConnState)) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"object":"list","data":[{"id":"served"},{"id":"other"}]}`)
	})
	mux.HandleFunc("POST /v1/", answer)
	s := httptest.NewUnstartedServer(mux)
	s.Config.ConnState = state
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// short is a closed loop of so many requests, two in flight.
func short(url string, requests int) Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.Model, cfg.Requests, cfg.Concurrency = url, "m", requests, 2
	cfg.PromptTokens, cfg.OutputTokens = 16, 4
	cfg.Timeout = patience
	return cfg
}

func mustRun(t *testing.T, cfg Config) Report {
	t.Helper()
	r, err := Run(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := r.Completed + r.Rejected
	for _, n := range r.Errors {
		sum += n
	}
	if sum != r.Requests {
		t.Errorf("%d requests, but %d completed, %d rejected and errors %v", r.Requests, r.Completed, r.Rejected, r.Errors)
	}
	return r
}

// counts expects how requests ended; errors are of one class.
func counts(t *testing.T, r Report, completed, rejected int, class string, failed int) {
	t.Helper()
	if r.Completed != completed || r.Rejected != rejected {
		t.Errorf("got %d completed and %d rejected, want %d and %d; errors %v %v", r.Completed, r.Rejected, completed, rejected, r.Errors, r.Messages)
	}
	if failed == 0 && len(r.Errors) > 0 || failed > 0 && (len(r.Errors) != 1 || r.Errors[class] != failed) {
		t.Errorf("got errors %v %v, want %d of %q", r.Errors, r.Messages, failed, class)
	}
}

// Events as vLLM writes them.
const (
	roleEvent = `data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}` + "\n\n"
	lastEvent = `data: {"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"length"}]}` + "\n\n"
	doneEvent = "data: [DONE]\n\n"
)

func tokenEvent(i int) string {
	return fmt.Sprintf(`data: {"id":"c","choices":[{"index":0,"delta":{"content":" t%d"},"finish_reason":null}]}`+"\n\n", i)
}

func usageEvent(prompt, completion int) string {
	return fmt.Sprintf(`data: {"id":"c","choices":[],"usage":{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d}}`+"\n\n", prompt, prompt+completion, completion)
}

// say writes events and flushes each.
func say(w http.ResponseWriter, events ...string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, e := range events {
		io.WriteString(w, e)
		w.(http.Flusher).Flush()
	}
}

func stream(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	say(w, roleEvent, tokenEvent(0), tokenEvent(1), tokenEvent(2), lastEvent, usageEvent(21, 5), doneEvent)
}

// bodies keeps what requests said.
type bodies struct {
	mu  sync.Mutex
	all []map[string]any
}

func (b *bodies) take(t *testing.T, r *http.Request) map[string]any {
	var body map[string]any
	raw, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Errorf("a request's body is no JSON: %v: %s", err, raw)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, body)
	return body
}

// prompts are all that came, of chats or completions.
func (b *bodies) prompts(t *testing.T) []string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []string
	for _, body := range b.all {
		if p, ok := body["prompt"].(string); ok {
			out = append(out, p)
			continue
		}
		out = append(out, body["messages"].([]any)[0].(map[string]any)["content"].(string))
	}
	return out
}

func text(t *testing.T, r Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// within bounds a test's wait for an event.
func within[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
		panic("unreachable")
	}
}
