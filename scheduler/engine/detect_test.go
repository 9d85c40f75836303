package engine

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownedBy is a list of models of an owner.
func ownedBy(owner string) string { return `{"data":[{"id":"m","owned_by":"` + owner + `"}]}` }

// An engine is found by its metrics' names, whatever else it serves.
func TestFoundByMetrics(t *testing.T) {
	f := func(page string, want Kind) {
		t.Helper()
		s := newScraper(t, page, Auto)
		if k := s.Kind(); k != Auto {
			t.Errorf("is %s before anything was asked", k)
		}
		var r Reading
		if err := s.Scrape(t.Context(), &r); err != nil || r.Kind != want || s.Kind() != want {
			t.Errorf("%.40q: got %s (%v), want %s", page, r.Kind, err, want)
		}
	}
	f(vllmPage, VLLM)
	f(sglangPage, SGLang)
	for name, r := range goldens {
		f(string(golden(t, name)), r.Kind)
	}
}

// An engine whose page says nothing is found by what else it serves; what is
// not there is asked for once in 30 s.
func TestFoundWithoutMetrics(t *testing.T) {
	f := func(want Kind, version string, bodies map[string]string) {
		t.Helper()
		s := newScraper(t, "", Auto)
		s.engine.bodies = bodies
		var r Reading
		err := s.Scrape(t.Context(), &r)
		if s.Kind() != want {
			t.Errorf("%v: got %s, want %s", bodies, s.Kind(), want)
		}
		if !errors.Is(err, ErrStatus) {
			t.Errorf("%v: got %v, want ErrStatus for the page", bodies, err)
		}
		if s.about.version != version {
			t.Errorf("%v: got version %q, want %q", bodies, s.about.version, version)
		}
	}
	f(VLLM, "", map[string]string{"/v1/models": ownedBy("vllm")})
	f(SGLang, "0.5.9", map[string]string{"/v1/models": ownedBy("sglang"), "/server_info": `{"version":"0.5.9"}`})
	f(SGLang, "0.4.1", map[string]string{"/get_server_info": `{"version":"0.4.1"}`})
	f(LMDeploy, "", map[string]string{"/v1/models": ownedBy("lmdeploy")})
	f(TRTLLM, "1.2.0", map[string]string{"/v1/models": ownedBy("tensorrt_llm"), "/version": `{"version":"1.2.0"}`})
	f(TGI, "3.3.7", map[string]string{"/v1/models": ownedBy("meta/llama"), "/info": `{"model_id":"m","version":"3.3.7"}`})
	f(LlamaCPP, "", map[string]string{"/v1/models": ownedBy("llamacpp")})
	f(VLLM, "0.9.2", map[string]string{"/version": `{"version":"0.9.2"}`})
	f(Auto, "", map[string]string{"/v1/models": ownedBy("someone"), "/version": `<html>`})
	f(Auto, "", map[string]string{"/v1/models": `{"data":[]}`})
}

func TestUnknownIsAskedSeldom(t *testing.T) {
	s := newScraper(t, "", Auto)
	fails := func(want string) {
		t.Helper()
		if err := s.Scrape(t.Context(), &Reading{}); !errors.Is(err, ErrStatus) {
			t.Errorf("got %v, want ErrStatus", err)
		}
		if got := s.engine.missed(); got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
	}
	const all = "/metrics /v1/models /version /server_info /get_server_info /info /version /v2 /props"
	fails(all)
	fails("/metrics")
	s.clock.advance(guessAgain)
	fails(all)
}

// An engine that is only not there yet is not asked what it is.
func TestLoadingIsNotQuestioned(t *testing.T) {
	for _, kind := range []Kind{Auto, LlamaCPP} {
		s := newScraper(t, "x", kind)
		s.engine.handle = func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"code":503,"message":"Loading model"}}`))
			return true
		}
		s.fails("/metrics", ErrLoading, "/metrics: status 503: the engine is still loading")
	}
}

// A page in JSON has no names to filter by.
func TestNoLeanPageOfJSON(t *testing.T) {
	s := newScraper(t, string(golden(t, "bladellm.json")), BladeLLM)
	want := goldens["bladellm.json"]
	s.scrape("/metrics", want)
	s.scrape("/metrics", want)
}

// llama.cpp without --metrics says how many slots it has, and no more.
func TestKindWithoutPage(t *testing.T) {
	s := newScraper(t, "", Auto)
	s.engine.bodies = map[string]string{"/v1/models": ownedBy("llamacpp"), "/props": string(golden(t, "llamacpp-props.json"))}
	s.engine.handle = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusNotImplemented)
		return true
	}
	var r Reading
	if err := s.Scrape(t.Context(), &r); err != nil {
		t.Fatal(err)
	}
	want := Reading{At: s.clock.t, Kind: LlamaCPP, Version: "b7012-1a2b3c4d", Has: HasConcurrency, Limit: 4}
	if r != want {
		t.Errorf("\n got %+v\nwant %+v", r, want)
	}
}

// trtllm-serve has its page elsewhere than all others: Auto finds it by the
// owner of the models, and a given kind at the second place if need be.
func TestPageElsewhere(t *testing.T) {
	page := string(golden(t, "trtllm-1.2.metrics"))
	f := func(kind Kind, bodies map[string]string, wantAsked string) {
		t.Helper()
		s := newScraper(t, "", kind)
		s.engine.bodies = bodies
		var r Reading
		for range 2 {
			if err := s.Scrape(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
		}
		if r.Kind != TRTLLM || r.Running != 31 {
			t.Errorf("got %+v", r)
		}
		if asked := s.engine.took(); asked != wantAsked {
			t.Errorf("asked for %s, want %s", asked, wantAsked)
		}
	}
	iterations := `[{"iter":1,"numActiveRequests":3}]`
	f(Auto, map[string]string{"/metrics": iterations, "/prometheus/metrics": page, "/v1/models": ownedBy("tensorrt_llm")},
		"/metrics /v1/models /prometheus/metrics /prometheus/metrics")
	f(TRTLLM, map[string]string{"/metrics": iterations, "/prometheus/metrics": page}, "/prometheus/metrics /prometheus/metrics")
	f(TRTLLM, map[string]string{"/metrics": page}, "/metrics /metrics")
}

func TestVersionIsAskedOnce(t *testing.T) {
	s := newScraper(t, vllmPage, VLLM)
	s.engine.bodies = map[string]string{"/version": `{"version":"0.32.0"}`}
	want := vllmReading(false)
	want.Version = "0.32.0"
	s.scrape("/metrics /metrics/? /version", want)
	want.Lean = true
	s.scrape("/metrics/?", want)
}

// An engine that leaves the question for its version unanswered is scraped all
// the same, and asked three times.
func TestVersionUnanswered(t *testing.T) {
	page := ok200(vllmPage)
	answers := []string{page, page, "", ""} // the page, the lean one, and nothing over two connections
	for range aboutTries - 1 {
		answers = append(answers, page, "", "")
	}
	answers = append(answers, page)
	c := newTestClient(t, Options{URL: canned(t, answers...), Kind: VLLM})
	for range aboutTries + 1 {
		if err := c.Scrape(t.Context(), &Reading{}); err != nil {
			t.Fatal(err)
		}
	}
	if c.about.tries != aboutTries || c.about.done {
		t.Errorf("got %+v", c.about)
	}
}

// restart closes the engine and brings another up on its address.
func (s *scraper) restart(page string, bodies map[string]string) {
	s.t.Helper()
	addr := s.engine.Listener.Addr().String()
	s.engine.Close()
	if err := s.Scrape(s.t.Context(), &Reading{}); !errors.Is(err, syscall.ECONNREFUSED) {
		s.t.Fatalf("got %v, want ECONNREFUSED", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.engine.Server = httptest.NewUnstartedServer(s.engine)
	s.engine.Listener.Close()
	s.engine.Listener = l
	s.engine.Start()
	s.t.Cleanup(s.engine.Server.Close)
	s.engine.set(func() { s.engine.page, s.engine.bodies = page, bodies })
}

// What comes back on the port may be another version or another engine, even
// one that has some of the old one's metrics.
func TestRestartFindsAnew(t *testing.T) {
	s := newScraper(t, vllmPage, Auto)
	s.engine.bodies = map[string]string{"/version": `{"version":"0.9.2"}`}
	want := vllmReading(false)
	want.Version = "0.9.2"
	s.scrape("/metrics /metrics/? /version", want)

	s.restart(vllmPage, map[string]string{"/version": `{"version":"0.32.0"}`})
	want.Version = "0.32.0"
	s.scrape("/metrics /metrics/? /version", want)

	s.restart("vllm:num_requests_running 1\n"+sglangPage, nil)
	s.scrape("/metrics /metrics/?", Reading{Kind: SGLang, Has: HasRunning | HasWaiting, Running: 7, Waiting: 2})
}

// A counter that goes backwards is a restart that nobody saw.
func TestCounterBackwards(t *testing.T) {
	s := newScraper(t, vllmPage+"vllm:prompt_tokens_total 100\n", VLLM)
	s.engine.bodies = map[string]string{"/version": `{"version":"1"}`}
	want := vllmReading(false)
	want.Has, want.PromptTokens, want.Version = want.Has|HasTokens, 100, "1"
	s.scrape("/metrics /metrics/? /version", want)
	s.engine.set(func() {
		s.engine.page = strings.Replace(s.engine.page, "100", "7", 1)
		s.engine.bodies["/version"] = `{"version":"2"}`
	})
	want.Lean, want.PromptTokens, want.Version = true, 7, "2"
	s.scrape("/metrics/? /version", want)
	want.Lean = false
	s.scrape("/metrics /metrics/?", want)
	s.clock.advance(time.Second)
	want.Lean = true
	s.scrape("/metrics/?", want)
}
