package sim

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	long  = `{"prompt":"Water","max_tokens":100000,"stream":true}`
	short = `{"prompt":"Water","max_tokens":4}`
)

// slow engines give tokens one by one.
func slow(c *Config) { c.Profile, c.TimeScale = "8b-h100", 5 }

func TestAbortWhileStreaming(t *testing.T) {
	r := newRig(t, slow)
	s := r.open("/v1/completions", long)
	if _, err := s.next(); err != nil {
		t.Fatal(err)
	}
	if got := r.stats(); got.Running != 1 || got.KVUsage == 0 || got.InFlight != 1 {
		t.Fatalf("within a stream: %+v", got)
	}
	s.leave()
	r.until("the engine stops", func() bool { return r.stats().Aborted == 1 })
	if got := r.stats(); got.Running != 0 || got.KVUsage != 0 || got.Requests != 1 || got.Finished != 0 {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestAbortBeforeTheFirstToken(t *testing.T) {
	r := newRig(t, slow)
	r.inject(`{"kind":"hang"}`)
	for _, body := range []string{long, short} {
		conn := r.raw("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + jsonInt(len(body)) + "\r\n\r\n" + body)
		before := r.stats()
		r.until("it has come", func() bool { return r.stats().InFlight == 1 })
		conn.Close()
		r.until("it has gone", func() bool { return r.stats().Aborted > before.Aborted && r.stats().InFlight == 0 })
	}
}

// A client that only half-closes has left too, as uvicorn has it.
func TestHalfClose(t *testing.T) {
	r := newRig(t, slow)
	conn := r.raw("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + jsonInt(len(long)) + "\r\n\r\n" + long)
	r.until("it runs", func() bool { return r.stats().Running == 1 })
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r.until("it has gone", func() bool { return r.stats().Aborted == 1 })
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	r := newRig(t, func(c *Config) { c.IdleTimeout = 20 * time.Millisecond })
	conn := r.raw("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("got %q, %v, want an answer and then the end", answer, err)
	}
}

func TestHang(t *testing.T) {
	r := newRig(t, slow)
	s := r.open("/v1/completions", long)
	if _, err := s.next(); err != nil {
		t.Fatal(err)
	}
	r.inject(`{"kind":"hang"}`)
	r.get("/health")
	r.get("/metrics")
	// What a step gave before the fault may still be on its way; then nothing is.
	at := r.stats().TokensGenerated
	r.until("two scrapes agree", func() bool {
		before := at
		at = r.stats().TokensGenerated
		return at == before
	})
	frozen := r.stats()
	for range 50 {
		r.get("/health")
	}
	if got := r.stats(); got.TokensGenerated != frozen.TokensGenerated || got.Running != 1 || got.Fault != "hang" {
		t.Errorf("it moves: %+v, then %+v", frozen, got)
	}
	r.do("DELETE", "/_sim/fault", "")
	r.until("it moves again", func() bool { return r.stats().TokensGenerated > frozen.TokensGenerated })
	s.leave()
}

func TestStall(t *testing.T) {
	r := newRig(t, slow)
	r.inject(`{"kind":"stall"}`)
	s := r.open("/v1/completions", `{"prompt":"Water","max_tokens":50,"stream":true}`)
	if _, err := s.next(); err != nil {
		t.Fatal(err)
	}
	r.until("the engine has it all", func() bool { return r.stats().Finished == 1 })
	if got := r.stats(); got.InFlight != 1 {
		t.Errorf("the answer ended: %+v", got)
	}
	r.do("DELETE", "/_sim/fault", "")
	if events, err := s.rest(); err != io.EOF || len(events) != 50 || events[49] != "[DONE]" {
		t.Errorf("after it: %d events, %v, want 50", len(events), err)
	}
}

func TestRefuse(t *testing.T) {
	r := newRig(t, func(c *Config) { slow(c); c.Instances = 2 })
	s := r.open("/v1/completions", long)
	idle := r.raw("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := idle.Read(make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	r.inject(`{"kind":"refuse"}`)
	if _, err := io.ReadAll(idle); err != nil {
		t.Errorf("the idle connection: %v, want its end", err)
	}
	for range 3 {
		if _, err := r.try("GET", "/health", ""); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v, want a refused connection", err)
		}
	}
	if _, err := s.next(); err != nil {
		t.Errorf("what was under way: %v", err)
	}
	s.leave()
	// The neighbour heals it.
	first := r.URLs()[0]
	r.instances[0], r.instances[1] = r.instances[1], r.instances[0]
	if response, body := r.do("DELETE", "/_sim/fault?instance=1", ""); response.StatusCode != 200 {
		t.Fatalf("healing: %s %s", response.Status, body)
	}
	r.instances[0], r.instances[1] = r.instances[1], r.instances[0]
	if r.URLs()[0] != first || r.get("/health") != "" {
		t.Error("it is not back on its port")
	}
	r.post("/v1/completions", short)
}

func TestFaultEndsByItself(t *testing.T) {
	r := newRig(t, nil)
	r.inject(`{"kind":"refuse","for":"30ms"}`)
	r.until("it accepts again", func() bool {
		response, err := r.try("GET", "/health", "")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
	// One that was replaced does not end the next.
	r.inject(`{"kind":"status","for":"20ms"}`)
	r.inject(`{"kind":"status","code":500}`)
	r.inject(`{"kind":"slow","for":"40ms"}`)
	r.until("the last one is over", func() bool { return r.stats().Fault == "" })
}

func TestReset(t *testing.T) {
	r := newRig(t, slow)
	s := r.open("/v1/completions", long)
	if _, err := s.next(); err != nil {
		t.Fatal(err)
	}
	r.inject(`{"kind":"reset"}`)
	if _, err := s.rest(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("under way: %v, want a reset", err)
	}
	for _, path := range []string{"/v1/completions", "/health"} {
		if _, err := r.try("POST", path, short); path == "/v1/completions" && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want a reset", path, err)
		}
	}
	conn := r.raw("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("/health: %v, want a reset", err)
	}
	r.do("DELETE", "/_sim/fault", "")
	r.post("/v1/completions", short)
	r.until("nothing is left of the first", func() bool { return r.stats().Running == 0 })
}

func TestStatus(t *testing.T) {
	r := newRig(t, nil)
	count := func() (failed int) {
		for range 200 {
			if response, body := r.do("POST", "/v1/completions", short); response.StatusCode != 200 {
				failed++
				if response.StatusCode != 503 || !strings.Contains(body, `"code":503`) {
					t.Fatalf("got %s %s", response.Status, body)
				}
			}
		}
		return failed
	}
	r.inject(`{"kind":"status","ratio":0.25}`)
	if n := count(); n < 20 || n > 80 {
		t.Errorf("%d of 200 failed, want about 50", n)
	}
	r.inject(`{"kind":"status"}`)
	if n := count(); n != 200 {
		t.Errorf("%d of 200 failed, want all", n)
	}
	r.get("/health")
	if got := r.stats().Requests; got != 400 {
		t.Errorf("%d requests seen, want 400", got)
	}
}

func TestCut(t *testing.T) {
	r := newRig(t, nil)
	f := func(tokens string, events int) {
		t.Helper()
		r.inject(`{"kind":"cut","tokens":` + tokens + `}`)
		s := r.open("/v1/completions", `{"prompt":"Water","max_tokens":10,"stream":true}`)
		if got, err := s.rest(); err != io.ErrUnexpectedEOF || len(got) != events {
			t.Errorf("%s: %d events, %v, want %d and a broken end", tokens, len(got), err, events)
		}
	}
	f("0", 0)
	f("1", 1)
	f("9", 9)
	if _, err := r.try("POST", "/v1/completions", `{"prompt":"Water","max_tokens":10}`); !errors.Is(err, io.EOF) {
		t.Errorf("without a stream: %v, want the end", err)
	}
	r.inject(`{"kind":"cut","tokens":10}`)
	r.post("/v1/completions", `{"prompt":"Water","max_tokens":10}`)
	if got := r.stats(); got.Aborted != 0 || got.Running != 0 {
		t.Errorf("a cut counts as a client that left: %+v", got)
	}
}

func TestSlow(t *testing.T) {
	r := newRig(t, slow)
	took := func() time.Duration {
		begin := time.Now()
		r.post("/v1/completions", `{"prompt":"Water","max_tokens":20}`)
		return time.Since(begin)
	}
	quick := 44 * time.Millisecond // 30 ms and 19 tokens of 10 ms, five times as fast
	if got := took(); got < quick {
		t.Errorf("%v, want at least %v", got, quick)
	}
	r.inject(`{"kind":"slow","factor":5}`)
	if got, want := took(), 5*38*time.Millisecond; got < want {
		t.Errorf("%v, want at least %v", got, want)
	}
}

func TestExit(t *testing.T) {
	r := newRig(t, func(c *Config) { slow(c); c.Instances = 2 })
	s := r.open("/v1/completions", long)
	r.inject(`{"kind":"exit"}`)
	if _, err := s.rest(); err == io.EOF {
		t.Error("a stream of a dead engine ended well")
	}
	if _, err := r.try("GET", "/health", ""); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refused connection", err)
	}
	response, err := r.client.Get(r.URLs()[1] + "/health")
	if err != nil {
		t.Fatalf("the other died with it: %v", err)
	}
	response.Body.Close()
}

func TestExitIsTheCallers(t *testing.T) {
	died := make(chan int, 1)
	r := newRig(t, func(c *Config) { c.Exit = func(n int) { died <- n } })
	r.inject(`{"kind":"exit"}`)
	if n := <-died; n != 0 {
		t.Errorf("instance %d died, want 0", n)
	}
}

func TestFaultsThatAreRefused(t *testing.T) {
	r := newRig(t, nil)
	f := func(body, want string) {
		t.Helper()
		response, got := r.do("POST", "/_sim/fault", body)
		if response.StatusCode != 400 || !strings.Contains(got, want) {
			t.Errorf("%s: %s %s, want %q in it", body, response.Status, got, want)
		}
	}
	f(`{`, "JSON")
	f(`{}`, "hang, refuse")
	f(`{"kind":"fire"}`, "hang, refuse")
	f(`{"kind":"hang","factor":2}`, "factor")
	f(`{"kind":"hang","colour":2}`, "colour")
	f(`{"kind":"hang","for":10}`, "10s")
	f(`{"kind":"hang","for":"-1s"}`, "for")
	f(`{"kind":"exit","for":"1s"}`, "for")
	f(`{"kind":"slow","factor":0}`, "factor")
	f(`{"kind":"slow","factor":"x"}`, "factor")
	f(`{"kind":"status","code":200}`, "code")
	f(`{"kind":"status","ratio":2}`, "ratio")
	f(`{"kind":"cut","tokens":-1}`, "tokens")
	if response, _ := r.do("POST", "/_sim/fault?instance=1", `{"kind":"hang"}`); response.StatusCode != 400 {
		t.Errorf("an instance that is not there: %s", response.Status)
	}
	if got := r.stats().Fault; got != "" {
		t.Errorf("the fault %q is on", got)
	}
}

// FuzzFault: whatever comes in is refused or makes sense.
func FuzzFault(f *testing.F) {
	for kind := range faultParameters {
		f.Add(`{"kind":"` + kind + `"}`)
	}
	f.Add(`{"kind":"slow","factor":1e300,"for":"1h"}`)
	f.Fuzz(func(t *testing.T, body string) {
		var got Fault
		if json.Unmarshal([]byte(body), &got) == nil {
			if _, ok := faultParameters[got.Kind]; !ok && got.Kind != "" || got.For < 0 || got.Factor < 0 || got.Tokens < 0 {
				t.Errorf("%s: %+v", body, got)
			}
		}
	})
}

func jsonInt(n int) string { b, _ := json.Marshal(n); return string(b) }

func TestFaultsOfTheMetricsPage(t *testing.T) {
	r := newRig(t, nil)
	const series = "vllm:generation_tokens_total{"
	r.post("/v1/completions", short)
	r.inject(`{"kind":"metrics_frozen"}`)
	before := r.get("/metrics")
	r.post("/v1/completions", short)
	if after := r.get("/metrics"); lineOf(after, series) != lineOf(before, series) {
		t.Error("a frozen page moves")
	}
	r.inject(`{"kind":"metrics_renamed"}`)
	if page := r.get("/metrics"); strings.Contains(page, "\n"+series) || !strings.Contains(page, "\nvllm:engine_generation_tokens_total{") {
		t.Error("a renamed page has its old names")
	}
	if page := r.get("/metrics/?name[]=vllm:generation_tokens_total"); page != "" {
		t.Errorf("filtered by an old name it says %q", page)
	}
	r.inject(`{"kind":"metrics_gone"}`)
	if answer, _ := r.do("GET", "/metrics", ""); answer.StatusCode != 404 {
		t.Errorf("a page that is gone: %s", answer.Status)
	}
	r.inject(`{"kind":"asleep"}`)
	_, state, _ := strings.Cut(r.get("/metrics"), `sleep_state="awake"} `)
	if !strings.HasPrefix(state, "0\n") {
		t.Errorf("asleep, it says that it is awake: %.5s", state)
	}
}

// lineOf is what follows the first line's beginning.
func lineOf(page, beginning string) string {
	_, rest, _ := strings.Cut("\n"+page, "\n"+beginning)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

func TestEngineThatIsNotReady(t *testing.T) {
	r := newRig(t, nil)
	f := func(kind, method, path string, want int, part string) {
		t.Helper()
		r.inject(`{"kind":"` + kind + `"}`)
		if answer, body := r.do(method, path, short); answer.StatusCode != want || !strings.Contains(body, part) {
			t.Errorf("%s: %s answers %s %s, want %d with %s", kind, path, answer.Status, body, want, part)
		}
	}
	f("loading", "GET", "/health", 503, "Loading model")
	f("loading", "GET", "/v1/models", 200, `"data":[]`)
	f("loading", "POST", "/v1/completions", 503, "Loading model")
	f("scaling", "GET", "/health", 503, "currently scaling")
	f("scaling", "POST", "/v1/completions", 503, "currently scaling")
	f("scaling", "GET", "/_sim/stats", 200, "")
}
