package engine

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

const sglangCounters = sglangPage + "sglang:generation_tokens_total 500\n"

// load is /v1/loads of one rank.
func load(running, waiting string) string {
	return `{"loads":[{"dp_rank":0,"num_running_reqs":` + running + `,"num_waiting_reqs":` + waiting + `,"token_usage":0.5,"max_running_requests":64}]}`
}

func newLoadsScraper(t *testing.T, document string) *scraper {
	t.Helper()
	s := newScraper(t, sglangCounters, SGLang)
	s.engine.bodies = map[string]string{"/v1/loads": document}
	return s
}

func loadsReading(running, waiting float64, lean bool) Reading {
	return Reading{
		Kind: SGLang, Lean: lean, Has: HasRunning | HasWaiting | HasKVUsage | HasConcurrency | HasTokens,
		Running: running, Waiting: waiting, KVUsage: 0.5, Limit: 64, GenerationTokens: 500,
	}
}

// The document's numbers stand before the page's. While there is work, the page
// is read too, for its counters; an idle engine is left alone for 30 s.
func TestLoads(t *testing.T) {
	s := newLoadsScraper(t, load("4", "1"))
	s.scrape("/v1/loads? /metrics /metrics/?", loadsReading(4, 1, false))
	s.scrape("/v1/loads? /metrics/?", loadsReading(4, 1, true))
	s.engine.set(func() { s.engine.bodies["/v1/loads"] = load("0", "0") })
	s.scrape("/v1/loads?", loadsReading(0, 0, true))
	s.clock.advance(idlePage - time.Second)
	s.scrape("/v1/loads?", loadsReading(0, 0, true))
	s.clock.advance(time.Second)
	s.scrape("/v1/loads? /metrics /metrics/?", loadsReading(0, 0, false))
	s.engine.set(func() {
		s.engine.bodies["/v1/loads"] = load("0", "1")
		s.engine.page += "sglang:prompt_tokens_total 9\n"
	})
	want := loadsReading(0, 1, true)
	want.PromptTokens = 9
	s.scrape("/v1/loads? /metrics/?", want)
}

// An engine that has no such document, or one that says nothing, is read by its
// page in the same scrape, and asked again after 30 s.
func TestLoadsMissing(t *testing.T) {
	page := Reading{Kind: SGLang, Has: HasRunning | HasWaiting | HasTokens, Running: 7, Waiting: 2, GenerationTokens: 500}
	lean := page
	lean.Lean = true
	f := func(document string) {
		t.Helper()
		s := newLoadsScraper(t, document)
		s.scrape("/v1/loads? /metrics /metrics/?", page)
		s.scrape("/metrics/?", lean)
		s.clock.advance(loadsRetry)
		s.engine.set(func() { s.engine.bodies["/v1/loads"] = load("4", "0") })
		s.scrape("/v1/loads? /metrics /metrics/?", loadsReading(4, 0, false))
	}
	f(`{"loads":[]}`)
	f(`{"loads":[{"num_running_reqs":3}`)
	f(`<html>`)
	f(``)

	s := newScraper(t, sglangCounters, SGLang)
	s.scrape("/metrics /metrics/?", page)
	s.scrape("/metrics/?", lean)
	if got := s.engine.missed(); got != "/v1/loads? /server_info /get_server_info" {
		t.Errorf("asked for %s in vain", got)
	}
}

// The document goes away under a running engine: no scrape is lost.
func TestLoadsLost(t *testing.T) {
	s := newLoadsScraper(t, load("4", "1"))
	s.scrape("/v1/loads? /metrics /metrics/?", loadsReading(4, 1, false))
	s.engine.set(func() { s.engine.bodies = nil })
	s.scrape("/metrics/?", Reading{Kind: SGLang, Lean: true, Has: HasRunning | HasWaiting | HasTokens, Running: 7, Waiting: 2, GenerationTokens: 500})
}

// A scheduler that hangs leaves the document unanswered; the page, of another
// process, then still tells that the counters stand still.
func TestLoadsHung(t *testing.T) {
	s := newLoadsScraper(t, load("4", "1"))
	s.scrape("/v1/loads? /metrics /metrics/?", loadsReading(4, 1, false))
	s.timeout = 200 * time.Millisecond
	release := make(chan struct{})
	defer close(release)
	hung := newFakeEngine(t, sglangCounters)
	hung.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/loads" {
			<-release
		}
		hung.ServeHTTP(w, r)
	})
	s.wire.addr = func() string { return hung.Listener.Addr().String() }
	s.HangUp()
	var r Reading
	if err := s.Scrape(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	if !r.Has.Has(HasTokens) || r.GenerationTokens != 500 || r.Running != 7 {
		t.Errorf("got %+v, want the page's", r)
	}
}

// SGLang without --enable-metrics has no page: the document alone does.
func TestLoadsWithoutPage(t *testing.T) {
	s := newLoadsScraper(t, load("4", "1"))
	s.engine.set(func() { s.engine.page = "" })
	want := loadsReading(4, 1, true)
	want.Has, want.GenerationTokens = want.Has&^HasTokens, 0
	s.scrape("/v1/loads?", want)
	s.scrape("/v1/loads?", want)
	s.engine.set(func() { s.engine.page = sglangCounters })
	s.scrape("/v1/loads? /metrics /metrics/?", loadsReading(4, 1, false))
}

// A page that cannot be fetched is an error, whatever the document said: its
// counters would be those of an older scrape.
func TestLoadsBesideDeadPage(t *testing.T) {
	c := newTestClient(t, Options{URL: canned(t, ok200(load("4", "1")), ""), Kind: SGLang})
	if err := c.Scrape(t.Context(), &Reading{}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestLoadsAllocateNothing(t *testing.T) {
	f := func(document string) {
		t.Helper()
		answer := ok200(document)
		metrics := ok200(strings.Repeat("# HELP x\n", 10) + sglangCounters)
		// Found out first: the document, the page, no lean page, no version.
		c := newTestClient(t, Options{URL: byPath(listen(t), map[string]string{"/v1/loads": answer, "/metrics": metrics}), Kind: SGLang})
		var r Reading
		if n := testing.AllocsPerRun(100, func() {
			if err := c.Scrape(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a scrape, want 0", document, n)
		}
		if r.GenerationTokens != 500 || r.Limit != 64 {
			t.Errorf("%s: got %+v", document, r)
		}
	}
	f(load("4", "1"))
	f(load("0", "0"))
}
