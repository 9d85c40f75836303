package engine

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

const vllmPage = `# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} 3.0
vllm:num_requests_waiting{engine="0"} 1.0
vllm:kv_cache_usage_perc{engine="0"} 0.5
vllm:request_success_total{engine="0"} 9.0
`

const sglangPage = `# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{tp_rank="0"} 7.0
sglang:num_queue_reqs{tp_rank="0"} 2.0
sglang:gen_throughput{tp_rank="0"} 99.0
`

// clock is a hand-set time.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// scraper is a client of one fake engine, whose scrapes are checked together
// with what they asked for.
type scraper struct {
	*Client
	t      *testing.T
	engine *fakeEngine
	clock  *clock
}

func newScraper(t *testing.T, page string, kind Kind) *scraper {
	t.Helper()
	e := newFakeEngine(t, page)
	clk := &clock{t: time.Unix(1e9, 0)}
	return &scraper{Client: newTestClient(t, Options{URL: e.URL, Kind: kind, Now: clk.now}), t: t, engine: e, clock: clk}
}

func (s *scraper) scrape(wantAsked string, want Reading) {
	s.t.Helper()
	var got Reading
	if err := s.Scrape(s.t.Context(), &got); err != nil {
		s.t.Fatal(err)
	}
	want.At = s.clock.t
	if asked := s.engine.took(); asked != wantAsked {
		s.t.Errorf("asked for %s, want %s", asked, wantAsked)
	}
	if got != want {
		s.t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func (s *scraper) fails(wantAsked string, want error, text string) {
	s.t.Helper()
	r := Reading{Running: -1}
	err := s.Scrape(s.t.Context(), &r)
	if !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		s.t.Errorf("got %v, want %v with %q", err, want, text)
	}
	if r != (Reading{Running: -1}) {
		s.t.Errorf("the reading was changed: %+v", r)
	}
	if asked := s.engine.took(); asked != wantAsked {
		s.t.Errorf("asked for %s, want %s", asked, wantAsked)
	}
}

func vllmReading(lean bool) Reading {
	return Reading{Kind: VLLM, Lean: lean, Has: HasRunning | HasWaiting | HasKVUsage, Running: 3, Waiting: 1, KVUsage: 0.5}
}

func TestLeanScrape(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	// Found out by asking once with the filter and once without …
	s.scrape("/metrics /metrics/?", vllmReading(false))
	// … used from then on …
	s.scrape("/metrics/?", vllmReading(true))
	s.clock.advance(29 * time.Second)
	s.scrape("/metrics/?", vllmReading(true))
	// … and compared with the full page every 30 s.
	s.clock.advance(time.Second)
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics/?", vllmReading(true))
}

func TestNoFilter(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.engine.filters = false
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics", vllmReading(false))
	s.clock.advance(9 * time.Minute)
	s.scrape("/metrics", vllmReading(false))
	s.clock.advance(time.Minute)
	s.scrape("/metrics /metrics/?", vllmReading(false))
}

// An exporter over several processes knows no names to filter by and answers
// the filter with nothing.
func TestEmptyFilter(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.engine.handle = func(w http.ResponseWriter, r *http.Request) bool { return r.URL.RawQuery != "" }
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics", vllmReading(false))
}

// Part of the ranks is less than the whole, though all signals are there.
func TestFilterLosesRanks(t *testing.T) {
	s := newScraper(t, vllmPage+"vllm:num_requests_running{engine=\"1\"} 4\n", VLLM)
	s.engine.handle = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.RawQuery != "" {
			_, _ = w.Write([]byte(filtered(vllmPage, r.URL.Query()["name[]"])))
			return true
		}
		return false
	}
	want := vllmReading(false)
	want.Running = 7
	s.scrape("/metrics /metrics/?", want)
	s.scrape("/metrics", want)
}

// A metric that goes away from the lean page must not look like a zero.
func TestLeanPageLosesSignal(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics/?", vllmReading(true))
	s.engine.set(func() {
		s.engine.page = strings.ReplaceAll(vllmPage, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
	})
	s.scrape("/metrics/?", vllmReading(true)) // an old name is asked for too
	s.engine.set(func() { s.engine.page = strings.ReplaceAll(vllmPage, "vllm:kv_cache_usage_perc", "vllm:kv_usage") })
	want := vllmReading(false)
	want.Has, want.KVUsage = HasRunning|HasWaiting, 0
	s.scrape("/metrics/? /metrics /metrics/?", want)
	want.Lean = true
	s.scrape("/metrics/?", want)
}

// Counters that come into being with the first request are in the filter from
// the start.
func TestLeanPageGainsSignal(t *testing.T) {
	s := newScraper(t, sglangPage, Auto)
	want := Reading{Kind: SGLang, Has: HasRunning | HasWaiting, Running: 7, Waiting: 2}
	s.scrape("/metrics /metrics/?", want)
	s.engine.set(func() { s.engine.page += "sglang:prompt_tokens_total 10\n" })
	want.Lean, want.Has, want.PromptTokens = true, want.Has|HasTokens, 10
	s.scrape("/metrics/?", want)
}

// The filter goes with a status: the scrape goes on with the full page.
func TestLeanPageRefused(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.engine.set(func() {
		s.engine.handle = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.RawQuery == "" {
				return false
			}
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
	})
	s.scrape("/metrics/? /metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics", vllmReading(false))
}

func TestAutoKind(t *testing.T) {
	s := newScraper(t, sglangPage, Auto)
	want := Reading{Kind: SGLang, Has: HasRunning | HasWaiting, Running: 7, Waiting: 2}
	s.scrape("/metrics /metrics/?", want)
	// Another engine on the same address.
	s.engine.set(func() { s.engine.page = vllmPage })
	s.scrape("/metrics/? /metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics/?", vllmReading(true))
	// Nothing known.
	s.engine.set(func() { s.engine.page = "up 1\n" })
	s.fails("/metrics/? /metrics", ErrNoSignals, "no known metric on the page of 5 bytes: looked for vllm:num_requests_running, ")
	// It was SGLang's and vLLM's: the others' names help nobody.
	if err := s.Scrape(t.Context(), &Reading{}); err == nil || strings.Contains(err.Error(), "sglang:") || len(err.Error()) > 400 {
		t.Errorf("got %v, want no word of sglang", err)
	}
}

// A page that says nothing known is answered with one name of each engine, not
// with two kilobytes of them.
func TestUnknownPageIsToldInALine(t *testing.T) {
	s := newScraper(t, "up 1\n", Auto)
	err := s.Scrape(t.Context(), &Reading{})
	want := "looked for one of vllm:num_requests_running, sglang:num_running_reqs, lmdeploy:"
	if !errors.Is(err, ErrNoSignals) || !strings.Contains(err.Error(), want) || len(err.Error()) > 400 {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestGivenKind(t *testing.T) {
	s := newScraper(t, sglangPage, VLLM)
	s.fails("/metrics", ErrNoSignals, "vllm:num_requests_running")
	err := s.Scrape(t.Context(), &Reading{})
	if err == nil || strings.Contains(err.Error(), "sglang:") {
		t.Errorf("got %v, want no word of sglang", err)
	}
}

func TestRedirect(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	to := "/metrics/"
	s.engine.handle = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/metrics" && to == "/metrics/" {
			return false
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}
	s.engine.filters = false
	s.scrape("/metrics /metrics/ /metrics/?", vllmReading(false))
	s.scrape("/metrics/", vllmReading(false)) // remembered
	// Another host, and a circle of redirects: one is followed, not two.
	s.engine.set(func() { to = "http://elsewhere.test/metrics/" })
	s.fails("/metrics/", ErrStatus, `unexpected status 307 to "http://elsewhere.test/metrics/"`)
	s.engine.set(func() { to = "/round" })
	s.fails("/metrics /round", ErrStatus, `/round: unexpected status 307 to "/round"`)
}

// A remembered redirect whose time has passed is forgotten.
func TestRedirectForgotten(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.engine.filters = false
	s.metrics = s.target("/moved")
	s.scrape("/metrics /metrics/?", vllmReading(false))
	if got := s.engine.missed(); got != "/moved /version" {
		t.Errorf("asked for %s in vain", got)
	}
}

func TestScrapeFailures(t *testing.T) {
	f := func(answer string, want error) {
		t.Helper()
		c := newTestClient(t, Options{URL: canned(t, answer), Kind: VLLM})
		if err := c.Scrape(t.Context(), &Reading{}); !errors.Is(err, want) {
			t.Errorf("%.60q: got %v, want %v", answer, err, want)
		}
	}
	f("", ErrClosed)
	f("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", ErrStatus)
	f("HTTP/1.1 101 Switching Protocols\r\n\r\n", ErrStatus)
	f("HTTP/1.1 204 No Content\r\n\r\n", ErrStatus)
	f(ok200(""), ErrNoSignals)
	f("SSH-2.0-OpenSSH_9.2\r\n\r\n", ErrProtocol)
	f("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", ErrTooLarge)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", ErrTooLarge)
	f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ErrProtocol)
	f("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", maxHead)+"\r\n\r\n", ErrProtocol)
	f("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+strings.Repeat("x", maxBody+1), ErrTooLarge)

	l := listen(t)
	l.Close()
	c := newTestClient(t, Options{URL: "http://" + l.Addr().String()})
	if err := c.Scrape(t.Context(), &Reading{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want ECONNREFUSED", err)
	}
}

// A restarted engine may be of another version: the filter is tried anew.
func TestRestartFindsLeanAnew(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.engine.filters = false
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics", vllmReading(false))
	addr := s.engine.Listener.Addr().String()
	s.engine.Close()
	if err := s.Scrape(t.Context(), &Reading{}); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("got %v, want ECONNREFUSED", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	again := &http.Server{Handler: s.engine}
	go func() { _ = again.Serve(l) }()
	defer again.Close()
	s.engine.set(func() { s.engine.filters = true })
	s.scrape("/metrics /metrics/?", vllmReading(false))
	s.scrape("/metrics/?", vllmReading(true))
}
