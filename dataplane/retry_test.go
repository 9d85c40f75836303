package dataplane

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/scheduler"
)

func TestRefusedInstanceIsHiddenFromTheClient(t *testing.T) {
	good := newEngine(t, ok)
	r := start(t, instances(deadURL(t), good.url), nil)
	for range 20 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
}

func TestResetBeforeTheAnswerIsHiddenFromTheClient(t *testing.T) {
	r := start(t, instances(newEngine(t, reset).url, newEngine(t, ok).url), nil)
	for range 6 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
}

func TestClosedBeforeTheAnswerIsHiddenFromTheClient(t *testing.T) {
	closes := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c, _ := hijack(w)
		c.Close()
	}
	r := start(t, instances(newEngine(t, closes).url, newEngine(t, ok).url), nil)
	r.until("both to be in", func() bool {
		all := r.sched.Instances()
		return all[0].State() == scheduler.Healthy && all[1].State() == scheduler.Healthy
	})
	for range 6 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
	if r.metric(`penstock_retries_total{outcome="ok"}`) == 0 {
		t.Error("no retry was counted")
	}
}

func TestHeadWithoutBodyIsStillRetried(t *testing.T) {
	headOnly := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c, rw := hijack(w)
		rw.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n1")
		rw.Flush()
		c.Close()
	}
	r := start(t, instances(newEngine(t, headOnly).url, newEngine(t, ok).url), nil)
	for range 4 {
		resp, body := r.do(askStream)
		expect(t, resp, body, 200, "")
	}
}

func TestLastFailureSaysHowManyWereTried(t *testing.T) {
	r := start(t, instances(newEngine(t, reset).url, newEngine(t, reset).url, newEngine(t, reset).url, newEngine(t, reset).url), nil)
	resp, body := r.do(ask)
	expect(t, resp, body, 502, "instance_failed")
	if !strings.Contains(body, "3 instances were tried") {
		t.Errorf("the error does not say how many were tried: %s", body)
	}
	if n := r.metric(`penstock_retries_total{outcome="exhausted"}`); n != 1 {
		t.Errorf("exhausted is %v, want 1", n)
	}
}

func TestNoInstanceIsTriedTwice(t *testing.T) {
	var a, b atomic.Int32
	counting := func(n *atomic.Int32) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { n.Add(1); reset(w, r) }
	}
	r := start(t, instances(newEngine(t, counting(&a)).url, newEngine(t, counting(&b)).url), func(c *Config, _ *scheduler.Config) { c.Retry.Count = 5 })
	resp, body := r.do(ask)
	expect(t, resp, body, 502, "instance_failed")
	if a.Load() != 1 || b.Load() != 1 {
		t.Errorf("the instances had the request %d and %d times, want once each", a.Load(), b.Load())
	}
}

func TestEnginesOwn503GoesElsewhere(t *testing.T) {
	busy := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		io.WriteString(w, `{"error":"busy"}`)
	}
	r := start(t, instances(newEngine(t, busy).url, newEngine(t, ok).url), nil)
	for range 4 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
}

func TestEnginesLastOwnAnswerReachesTheClient(t *testing.T) {
	busy := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Engine", "yes")
		w.WriteHeader(503)
		io.WriteString(w, `{"error":"busy"}`)
	}
	r := start(t, instances(newEngine(t, busy).url, newEngine(t, busy).url), nil)
	resp, body := r.do(ask)
	if resp.StatusCode != 503 || body != `{"error":"busy"}` || resp.Header.Get("X-Engine") != "yes" {
		t.Fatalf("got %d %q", resp.StatusCode, body)
	}
	busyThenDead := start(t, instances(newEngine(t, busy).url, newEngine(t, reset).url), nil)
	for range 2 {
		if resp, body = busyThenDead.do(ask); resp.StatusCode != 503 || body != `{"error":"busy"}` {
			t.Fatalf("an engine's own answer was lost: %d %q", resp.StatusCode, body)
		}
	}
}

func TestEngines500And400AreTheClients(t *testing.T) {
	for _, status := range []int{400, 404, 422, 500} {
		var asked atomic.Int32
		fails := func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"code":%d}}`, status)
		}
		r := start(t, instances(newEngine(t, fails).url, newEngine(t, fails).url), nil)
		resp, body := r.do(ask)
		if resp.StatusCode != status || body != fmt.Sprintf(`{"error":{"code":%d}}`, status) || asked.Load() != 1 {
			t.Errorf("got %d %q after %d tries, want %d after one", resp.StatusCode, body, asked.Load(), status)
		}
	}
}

// A request during which two instances died is not given to a third.
func TestRequestThatKillsIsNotPassedRound(t *testing.T) {
	var asked atomic.Int32
	var engines []*engine
	dies := func(i int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			asked.Add(1)
			engines[i].srv.Close() // the listener too: a fresh connection is refused
		}
	}
	for i := range 4 {
		engines = append(engines, newEngine(t, dies(i)))
	}
	r := start(t, instances(engines[0].url, engines[1].url, engines[2].url, engines[3].url), func(c *Config, _ *scheduler.Config) { c.Retry.Count = 5 })
	resp, body := r.do(ask)
	expect(t, resp, body, 502, "instance_failed")
	if asked.Load() != 2 {
		t.Errorf("%d instances had the request, want 2", asked.Load())
	}
}

func TestClosedIdleConnectionNeverFailsAPost(t *testing.T) {
	e := newEngine(t, ok, func(s *http.Server) { s.IdleTimeout = time.Millisecond })
	r := start(t, instances(e.url), nil)
	p := r.dial()
	for range 200 {
		p.post(ask)
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
}

// The race that no check before use can win: the engine closes while the
// request is on its way.
func TestConnectionClosedUnderTheRequestIsReplacedOnce(t *testing.T) {
	var n atomic.Int32
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 2 {
			c, _ := hijack(w)
			c.Close()
			return
		}
		ok(w, r)
	})
	r := start(t, instances(e.url), nil)
	p := r.dial()
	for range 3 {
		p.post(ask)
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
	if got := r.metric(`penstock_retries_total{outcome="ok"}`); got != 0 {
		t.Errorf("a replaced connection counted as a retry")
	}
}

func TestResponseTimeoutGoesElsewhereThenTimesOut(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	hangs := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	short := func(c *Config, _ *scheduler.Config) { c.ResponseTimeout = 200 * time.Millisecond }
	r := start(t, instances(newEngine(t, hangs).url, newEngine(t, ok).url), short)
	for range 2 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
	r = start(t, instances(newEngine(t, hangs).url), short)
	resp, body := r.do(ask)
	expect(t, resp, body, 504, "instance_timeout")
}

func TestLargeBodySurvivesARetry(t *testing.T) {
	want := strings.Repeat("x", 300<<10)
	got := make(chan int, 4)
	echo := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- strings.Count(string(b), "x")
		ok(w, r)
	}
	r := start(t, instances(newEngine(t, reset).url, newEngine(t, echo).url), nil)
	for range 2 {
		resp, body := r.do(`{"model":"m","prompt":"` + want + `"}`)
		expect(t, resp, body, 200, "")
		if n := <-got; n != len(want) {
			t.Fatalf("the engine got %d bytes of the prompt, want %d", n, len(want))
		}
	}
}

var _ net.Conn

// A request that each engine answers with a reset must not take them all out:
// they take connections, and serve others.
func TestPoisonedRequestTakesNobodyOut(t *testing.T) {
	bears := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), "poison") {
			reset(w, r)
			return
		}
		io.WriteString(w, `{"choices":[]}`)
	}
	r := start(t, instances(newEngine(t, bears).url, newEngine(t, bears).url, newEngine(t, bears).url), nil)
	for range 20 {
		resp, body := r.do(`{"model":"m","messages":[{"role":"user","content":"poison"}]}`)
		expect(t, resp, body, 502, "instance_failed")
		for range 3 {
			resp, body := r.do(ask)
			expect(t, resp, body, 200, "")
		}
	}
	for _, i := range r.sched.Instances() {
		if n := len(i.Status().Changes); i.State() == scheduler.Ejected {
			t.Errorf("%s is out, after %d changes", i.Name, n)
		}
	}
}
