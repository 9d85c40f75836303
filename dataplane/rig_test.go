package dataplane

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/telemetry"
)

// patience bounds every wait of these tests; none is expected to last.
const patience = 20 * time.Second

// rig is a gateway on loopback in front of engines that the test scripts.
type rig struct {
	t     testing.TB
	g     *Gateway
	sched *scheduler.Scheduler
	addr  string
	stop  func() // asks for the end
	ended <-chan struct{}
}

// engine is an instance whose answers the test writes itself.
type engine struct {
	t      testing.TB
	url    string
	srv    *http.Server
	answer func(w http.ResponseWriter, r *http.Request)

	mu      sync.Mutex
	metrics string
	models  string // the one model's name
	opened  int
	open    map[net.Conn]bool
}

const calmMetrics = "vllm:num_requests_running{model_name=\"m\"} 0\nvllm:num_requests_waiting{model_name=\"m\"} 0\nvllm:kv_cache_usage_perc{model_name=\"m\"} 0.1\n"

func newEngine(t testing.TB, answer http.HandlerFunc, change ...func(*http.Server)) *engine {
	t.Helper()
	e := &engine{t: t, answer: answer, metrics: calmMetrics, models: "m", open: make(map[net.Conn]bool)}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		io.WriteString(w, e.metrics)
	}
	mux.HandleFunc("/metrics", page)
	mux.HandleFunc("/metrics/", page)
	for _, about := range []string{"/version", "/server_info", "/get_server_info", "/info", "/props", "/v1/loads"} {
		mux.HandleFunc(about, http.NotFound)
	}
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/v1/models", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"object":"list","data":[{"id":%q,"object":"model","owned_by":"vllm","max_model_len":4096}]}`, e.models)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { e.answer(w, r) })
	e.srv = &http.Server{Handler: mux, ConnState: e.connState}
	for _, f := range change {
		f(e.srv)
	}
	e.url = "http://" + ln.Addr().String()
	go e.srv.Serve(ln)
	t.Cleanup(func() { e.srv.Close() })
	return e
}

func (e *engine) connState(c net.Conn, s http.ConnState) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch s {
	case http.StateNew:
		e.opened++
		e.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(e.open, c)
	}
}

// say sets the engine's /metrics page.
func (e *engine) say(metrics string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.metrics = metrics
}

// deadURL is an address that refuses.
func deadURL(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String()
}

// instances configures one instance for each URL, named a, b, c …
func instances(urls ...string) []scheduler.InstanceConfig {
	var out []scheduler.InstanceConfig
	for i, u := range urls {
		out = append(out, scheduler.InstanceConfig{URL: u, Name: string(rune('a' + i))})
	}
	return out
}

// start runs a gateway until the test ends. change may edit the configurations,
// prepare what is made of them.
func start(t testing.TB, list []scheduler.InstanceConfig, change func(*Config, *scheduler.Config), prepare ...func(*Gateway, *scheduler.Scheduler)) *rig {
	t.Helper()
	cfg, scfg := DefaultConfig(), scheduler.DefaultConfig()
	cfg.Listen = []string{"127.0.0.1:0"}
	cfg.DrainTimeout = patience
	scfg.Instances = list
	scfg.Policy = "round-robin"
	if change != nil {
		change(&cfg, &scfg)
	}
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	s, err := scheduler.New(scfg, log)
	if err != nil {
		t.Fatal(err)
	}
	g, err := New(cfg, s, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(g, s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() { s.Run(ctx) })
	both.Go(func() {
		if err := g.Serve(ctx); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	go func() { both.Wait(); close(ended) }()
	r := &rig{t: t, g: g, sched: s, stop: cancel, ended: ended}
	t.Cleanup(func() {
		cancel()
		r.wait(ended, "the end of the gateway")
	})
	r.wait(g.Ready(), "the gateway to listen")
	r.addr = g.Addrs()[0].String()
	return r
}

type testWriter struct{ t testing.TB }

// Write sees to it that a fault that a client was shielded from fails the test.
func (w testWriter) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("failed inside the router")) {
		w.t.Errorf("%s", p)
	}
	return len(p), nil
}

func (r *rig) wait(c <-chan struct{}, what string) {
	r.t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		r.t.Fatalf("waited in vain for %s", what)
	}
}

// until polls for something that no channel tells.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	over := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-over:
			r.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// metric reads one series of the gateway's metrics, 0 if absent. Of WebSockets it
// adds both kinds where series names none.
func (r *rig) metric(series string) (sum float64) {
	r.t.Helper()
	var w telemetry.Writer
	r.g.Collect(&w)
	for line := range strings.Lines(string(w.Bytes())) {
		if !strings.Contains(series, "kind=") {
			line = anyKind.Replace(line)
		}
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			var v float64
			fmt.Sscan(rest, &v)
			sum += v
		}
	}
	return sum
}

var anyKind = strings.NewReplacer(`{kind="bridge"}`, "", `{kind="tunnel"}`, "", `{kind="bridge",`, "{", `{kind="tunnel",`, "{")

// peer is a client's connection.
type peer struct {
	*rig
	net.Conn
	r *bufio.Reader
}

func (r *rig) dial() *peer {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { c.Close() })
	return &peer{rig: r, Conn: c, r: bufio.NewReader(c)}
}

func (p *peer) send(format string, args ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.Conn, format, args...); err != nil {
		p.t.Fatal(err)
	}
}

// post sends a completion request with a JSON body.
func (p *peer) post(body string, headers ...string) {
	p.t.Helper()
	p.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		headerLines(headers), len(body), body)
}

func headerLines(h []string) string {
	if len(h) == 0 {
		return ""
	}
	return strings.Join(h, "\r\n") + "\r\n"
}

// response reads the head of an answer; its body is read through Body.
func (p *peer) response() *http.Response {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.t.Fatalf("reading the answer: %v", err)
	}
	return resp
}

// whole reads an answer to its end.
func (p *peer) whole() (*http.Response, string) {
	p.t.Helper()
	resp := p.response()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatalf("reading the answer's body: %v", err)
	}
	return resp, string(b)
}

// do sends one request on a connection of its own.
func (r *rig) do(body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	p := r.dial()
	defer p.Close()
	p.post(body, headers...)
	return p.whole()
}

// expect checks an answer's status and router's error code.
func expect(t testing.TB, resp *http.Response, body string, status int, code string) {
	t.Helper()
	if resp.StatusCode != status || resp.Header.Get("X-Penstock-Error") != code {
		t.Fatalf("got %d %q, want %d %q; body %s", resp.StatusCode, resp.Header.Get("X-Penstock-Error"), status, code, body)
	}
	if code != "" && !bytes.Contains([]byte(body), []byte(`{"error":{"message":"`)) {
		t.Fatalf("not OpenAI's shape: %s", body)
	}
}

// event writes one SSE event of an engine, and sends it off.
func event(w http.ResponseWriter, data string) {
	fmt.Fprintf(w, "data: %s\n\n", data)
	w.(http.Flusher).Flush()
}

func sse(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/event-stream; charset=utf-8") }

// ok is an engine that answers at once.
func ok(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"id":"cmpl-1","choices":[{"text":"hi"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
}

// hijack takes the engine's connection from net/http.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return c, rw
}

// reset closes with RST.
func reset(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	c, _ := hijack(w)
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

const ask = `{"model":"m","prompt":"hello","max_tokens":5}`
const askStream = `{"model":"m","prompt":"hello","max_tokens":5,"stream":true}`
