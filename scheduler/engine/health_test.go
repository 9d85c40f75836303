package engine

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A 503 that passes is told from that of a dead engine.
func TestUnavailable(t *testing.T) {
	f := func(status int, body string, want error) {
		t.Helper()
		e := newFakeEngine(t, "")
		e.handle = func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
		c := newTestClient(t, Options{URL: e.URL})
		err := c.Health(t.Context())
		if !errors.Is(err, want) {
			t.Errorf("%d %.60q: got %v, want %v", status, body, err, want)
		}
		if passing := want != ErrStatus && want != nil; passing && errors.Is(err, ErrStatus) {
			t.Errorf("%d %.60q: %v is ErrStatus too", status, body, err)
		}
		// The same of every other question.
		if _, err := c.Models(t.Context()); want != nil && !errors.Is(err, want) {
			t.Errorf("models, %d %.60q: got %v, want %v", status, body, err, want)
		}
		if err := c.Scrape(t.Context(), &Reading{}); want != nil && !errors.Is(err, want) {
			t.Errorf("scrape, %d %.60q: got %v, want %v", status, body, err, want)
		}
	}
	f(200, "", nil)
	f(503, "", ErrStatus) // vLLM's engine core has died
	f(503, `{"error":"The model is currently scaling. Please try again later."}`, ErrScaling)
	f(503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, ErrLoading)
	f(503, "Server is starting up", ErrLoading)
	f(500, "loading", ErrStatus)
	f(503, strings.Repeat(" ", maxReason)+"loading", ErrStatus)
}

func TestHealthPaths(t *testing.T) {
	for _, p := range profiles {
		e := newFakeEngine(t, "")
		e.bodies = map[string]string{p.health: ""}
		c := newTestClient(t, Options{URL: e.URL, Kind: p.kind})
		if err := c.Health(t.Context()); err != nil {
			t.Errorf("%s: %v", p.kind, err)
		}
	}
}

func TestGenerate(t *testing.T) {
	type request struct{ method, path, body string }
	f := func(kind Kind, model string, answers map[string]int, wantErr error, want ...request) {
		t.Helper()
		e := newFakeEngine(t, "")
		var got []request
		e.handle = func(w http.ResponseWriter, r *http.Request) bool {
			body, _ := io.ReadAll(r.Body)
			got = append(got, request{r.Method, r.URL.Path, string(body)})
			w.WriteHeader(answers[r.URL.Path])
			return true
		}
		c := newTestClient(t, Options{URL: e.URL, Kind: kind, APIKey: "k3y"})
		err := c.Generate(t.Context(), model)
		if !errors.Is(err, wantErr) || (wantErr == nil) != (err == nil) {
			t.Errorf("%s: got %v, want %v", kind, err, wantErr)
		}
		e.set(func() {
			if e.header.Get("Authorization") != "Bearer k3y" {
				t.Errorf("%s: no key in %v", kind, e.header)
			}
			if len(got) != len(want) {
				t.Fatalf("%s: asked for %v, want %v", kind, got, want)
			}
			for i := range got {
				if got[i] != want[i] {
					t.Errorf("%s: asked for %v, want %v", kind, got[i], want[i])
				}
			}
		})
	}
	post := request{"POST", "/v1/completions", `{"model":"a\"b","prompt":"ping","max_tokens":1,"temperature":0}`}
	nameless := request{"POST", "/v1/completions", `{"prompt":"ping","max_tokens":1,"temperature":0}`}
	get := request{"GET", "/health_generate", ""}
	f(VLLM, `a"b`, map[string]int{"/v1/completions": 200}, nil, post)
	f(Auto, "", map[string]int{"/v1/completions": 200}, nil, nameless)
	f(VLLM, `a"b`, map[string]int{"/v1/completions": 404}, ErrStatus, post)
	f(VLLM, `a"b`, map[string]int{"/v1/completions": 400}, ErrStatus, post)
	f(VLLM, `a"b`, map[string]int{"/v1/completions": 500}, ErrStatus, post)
	f(SGLang, `a"b`, map[string]int{"/health_generate": 200}, nil, get)
	f(SGLang, `a"b`, map[string]int{"/health_generate": 503}, ErrStatus, get)
	f(SGLang, `a"b`, map[string]int{"/health_generate": 404, "/v1/completions": 200}, nil, get, post)
}

// A hung engine answers its health check and no request for work.
func TestGenerateEndsWithItsContext(t *testing.T) {
	l := listen(t)
	c := newTestClient(t, Options{URL: "http://" + l.Addr().String(), Kind: VLLM})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Generate(ctx, "m"); !errors.Is(err, ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

// After HangUp the next call dials anew, where Addr then says.
func TestHangUpAndAddr(t *testing.T) {
	hosts := make(chan string, 4)
	serve := func(name string) string {
		l := listen(t)
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hosts <- name + " " + r.Host })}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { server.Close() })
		return l.Addr().String()
	}
	first, second := serve("first"), serve("second")
	addr := first
	c := newTestClient(t, Options{URL: "http://gpu-1.test:8000", Addr: func() string { return addr }})
	f := func(want string) {
		t.Helper()
		if err := c.Health(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := <-hosts; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("first gpu-1.test:8000")
	addr = second
	f("first gpu-1.test:8000") // the connection is kept
	c.HangUp()
	f("second gpu-1.test:8000")
	c.HangUp()
	c.HangUp()
	f("second gpu-1.test:8000")
	c.Close()
	c.HangUp()
	if err := c.Health(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
