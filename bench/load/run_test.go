package load

import (
	"context"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestStream(t *testing.T) {
	var asked bodies
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer key" || r.Header.Get("X-Penstock-Explain") != "1" {
			t.Errorf("asked for %s with %v", r.URL.Path, r.Header)
		}
		body := asked.take(t, r)
		if body["model"] != "m" || body["stream"] != true || body["max_tokens"] != 4.0 {
			t.Errorf("asked with %v", body)
		}
		stream(w, r)
	})
	cfg := short(s.URL, 20)
	cfg.APIKeys = []string{"key"}
	r := mustRun(t, cfg)
	counts(t, r, 20, 0, "", 0)
	if r.InputTokens != 20*21 || r.OutputTokens != 20*5 {
		t.Errorf("got %d and %d tokens, want the engine's counts, 420 and 100", r.InputTokens, r.OutputTokens)
	}
	if n := len(asked.prompts(t)); n != 20 {
		t.Errorf("%d requests came, want 20", n)
	}
	f := func(name string, l Latency) {
		t.Helper()
		if !(0 <= l.Min && l.Min <= l.P50 && l.P50 <= l.P90 && l.P90 <= l.P95 && l.P95 <= l.P99 && l.P99 <= l.Max && l.Min <= l.Mean && l.Mean <= l.Max) {
			t.Errorf("%s does not ascend: %+v", name, l)
		}
	}
	f("ttft", r.TTFT)
	f("tpot", r.TPOT)
	f("itl", r.ITL)
	f("e2e", r.E2E)
	if r.TTFT.Min <= 0 || r.E2E.Min < r.TTFT.Min {
		t.Errorf("ttft %+v, e2e %+v", r.TTFT, r.E2E)
	}
	if len(r.Instances) != 0 {
		t.Errorf("instances %v, want none: the server named none", r.Instances)
	}
}

func TestCompletionsWithoutStream(t *testing.T) {
	var asked bodies
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body := asked.take(t, r); r.URL.Path != "/v1/completions" || body["stream"] != nil {
			t.Errorf("asked for %s with %v", r.URL.Path, body)
		}
		io.WriteString(w, `{"choices":[{"text":"`+strings.Repeat("long ", 10_000)+`"}],"usage":{"prompt_tokens":16,"completion_tokens":9}}`)
	})
	cfg := short(s.URL, 5)
	cfg.Endpoint, cfg.Stream = Completions, false
	r := mustRun(t, cfg)
	counts(t, r, 5, 0, "", 0)
	if r.OutputTokens != 45 {
		t.Errorf("got %d output tokens, want 45", r.OutputTokens)
	}
	if r.TPOT != (Latency{}) || r.ITL != (Latency{}) {
		t.Errorf("tpot %+v and itl %+v of answers that came at once", r.TPOT, r.ITL)
	}
	if r.GoodputRPS == 0 || r.TTFT.Min == 0 {
		t.Errorf("goodput %v, ttft %+v", r.GoodputRPS, r.TTFT)
	}
}

func TestTokensWithoutUsageAreEvents(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		say(w, roleEvent, tokenEvent(0), tokenEvent(1), tokenEvent(2), lastEvent, doneEvent)
	})
	r := mustRun(t, short(s.URL, 2))
	counts(t, r, 2, 0, "", 0)
	if r.OutputTokens != 6 || r.InputTokens != 32 {
		t.Errorf("got %d output and %d input tokens, want 6 events and 32 that were asked for", r.OutputTokens, r.InputTokens)
	}
}

func TestAnswerWithoutOutputCounts(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { say(w, lastEvent, usageEvent(3, 0), doneEvent) })
	r := mustRun(t, short(s.URL, 2))
	counts(t, r, 2, 0, "", 0)
	if r.TTFT.Min <= 0 {
		t.Errorf("ttft %+v, want the whole answer's time", r.TTFT)
	}
}

func TestErrorsByClass(t *testing.T) {
	f := func(class string, streamed bool, answer http.HandlerFunc) {
		t.Helper()
		s := serve(t, answer)
		cfg := short(s.URL, 4)
		cfg.Stream = streamed
		r := mustRun(t, cfg)
		counts(t, r, 0, 0, class, 4)
		if r.Messages[class] == "" || !strings.Contains(text(t, r), class) {
			t.Errorf("%s: the text does not tell:\n%s", class, text(t, r))
		}
		if r.GoodputRPS != 0 || r.OutputTokens != 0 {
			t.Errorf("%s: goodput %v, %d tokens", class, r.GoodputRPS, r.OutputTokens)
		}
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	both := func(class string, answer http.HandlerFunc) {
		t.Helper()
		f(class, true, answer)
		f(class, false, answer)
	}
	both("503", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"error":{"message":"none is there"}}`, http.StatusServiceUnavailable)
	})
	both("400", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusBadRequest) })
	both(classClosed, abort)
	f(classStreamError, true, func(w http.ResponseWriter, r *http.Request) {
		say(w, roleEvent, tokenEvent(0), `data: {"error":{"message":"the engine died"}}`+"\n\n")
	})
	f(classStreamError, true, func(w http.ResponseWriter, r *http.Request) {
		say(w, `data: {"error":{"message":"and yet"}}`+"\n\n", doneEvent)
	})
	f(classStreamError, false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"error":{"message":"x"}}`) })
	f(classTruncated, true, func(w http.ResponseWriter, r *http.Request) { say(w, roleEvent, tokenEvent(0), tokenEvent(1)) })
	f(classTruncated, true, func(w http.ResponseWriter, r *http.Request) {
		say(w, roleEvent, tokenEvent(0))
		abort(w, r)
	})
	f(classTruncated, true, func(w http.ResponseWriter, r *http.Request) {})
	f(classTruncated, false, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"choices":`)
		w.(http.Flusher).Flush()
		abort(w, r)
	})
	f(classProtocol, false, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>welcome</html>") })
	f(classProtocol, true, func(w http.ResponseWriter, r *http.Request) {
		say(w, "data: "+strings.Repeat("x", maxEvent+1))
	})
}

func TestTimeouts(t *testing.T) {
	f := func(name string, answer http.HandlerFunc) {
		t.Helper()
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // the server sees a client leave only then
			answer(w, r)
			<-r.Context().Done()
		})
		cfg := short(s.URL, 2)
		cfg.Timeout = 50 * time.Millisecond
		r := mustRun(t, cfg)
		if r.Errors[classTimeout] != 2 {
			t.Errorf("%s: errors %v %v, want 2 of timeout", name, r.Errors, r.Messages)
		}
	}
	f("no answer", func(http.ResponseWriter, *http.Request) {})
	f("no end of the stream", func(w http.ResponseWriter, r *http.Request) { say(w, roleEvent, tokenEvent(0)) })
}

func TestEndpointThatIsNotThere(t *testing.T) {
	s := serve(t, stream)
	url := s.URL
	s.Close()
	counts(t, mustRun(t, short(url, 3)), 0, 0, classConnect, 3)
	cfg := short(url, 3)
	cfg.Model = ""
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.HasPrefix(err.Error(), "model: ") {
		t.Errorf("got error %v, want one of model", err)
	}
}

func TestRejectedIsNoError(t *testing.T) {
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 0 {
			http.Error(w, `{"error":{"message":"try later","code":"queue_full"}}`, http.StatusTooManyRequests)
			return
		}
		stream(w, r)
	})
	r := mustRun(t, short(s.URL, 10))
	counts(t, r, 5, 5, "", 0)
	if want := `queue_full         5  {"error":{"message":"try later","code":"queue_full"}}`; !strings.Contains(text(t, r), want) {
		t.Errorf("%q is not in\n%s", want, text(t, r))
	}
}

func TestModelIsAskedFor(t *testing.T) {
	var asked bodies
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body := asked.take(t, r); body["model"] != "served" {
			t.Errorf("asked for model %v", body["model"])
		}
		stream(w, r)
	})
	cfg := short(s.URL+"/v1", 2)
	cfg.Model = ""
	if r := mustRun(t, cfg); r.Model != "served" || r.Completed != 2 {
		t.Errorf("got %+v", r)
	}
}

func TestInstancesAreCounted(t *testing.T) {
	var n atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		name := "a:1"
		if n.Add(1) > 7 {
			name = "b"
		}
		w.Header().Set("X-Penstock-Decision", "policy=p; instance="+name+"; reason=least; degraded=none")
		stream(w, r)
	})
	r := mustRun(t, short(s.URL, 10))
	if r.Instances["a:1"] != 7 || r.Instances["b"] != 3 || len(r.Instances) != 2 {
		t.Errorf("got %v, want 7 of a:1 and 3 of b", r.Instances)
	}
	if !strings.Contains(text(t, r), "a:1") {
		t.Error("the text does not name them")
	}
}

func TestOneSeedOneLoad(t *testing.T) {
	load := func(seed uint64) map[string]bool {
		var asked bodies
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked.take(t, r)
			stream(w, r)
		})
		cfg := short(s.URL, 30)
		cfg.Seed = seed
		mustRun(t, cfg)
		set := make(map[string]bool)
		for _, p := range asked.prompts(t) {
			set[p] = true
		}
		if len(set) != 30 {
			t.Errorf("%d prompts of 30 requests, want each its own", len(set))
		}
		return set
	}
	first := load(1)
	for p := range load(1) {
		if !first[p] {
			t.Fatalf("a second run asked %q", p)
		}
	}
	for p := range load(2) {
		if first[p] {
			t.Fatalf("another seed asked %q too", p)
		}
	}
}

// The server lets each request go only once all C are there, and sees no more.
func TestClosedLoopKeepsConcurrency(t *testing.T) {
	const c, rounds = 8, 5
	var now, most atomic.Int64
	came, release := make(chan bool, c*rounds), make(chan bool)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		came <- true
		<-release
		now.Add(-1)
		stream(w, r)
	})
	cfg := short(s.URL, c*rounds)
	cfg.Concurrency = c
	done := make(chan Report, 1)
	go func() { done <- mustRun(t, cfg) }()
	for range rounds {
		for range c {
			within(t, "request while fewer than C are in flight", came)
		}
		for range c {
			release <- true
		}
	}
	counts(t, within(t, "report", done), c*rounds, 0, "", 0)
	if most.Load() != c {
		t.Errorf("%d in flight at once, want %d", most.Load(), c)
	}
}

func TestOpenLoopDoesNotWaitForAnswers(t *testing.T) {
	const n = 40
	came, release := make(chan bool, n), make(chan bool)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		came <- true
		<-release
		stream(w, r)
	})
	cfg := short(s.URL, n)
	cfg.Concurrency, cfg.Rate = 0, 2000
	done := make(chan Report, 1)
	go func() { done <- mustRun(t, cfg) }()
	for range n {
		within(t, "request while others wait", came)
	}
	close(release)
	r := within(t, "report", done)
	counts(t, r, n, 0, "", 0)
	if r.Late != 0 {
		t.Errorf("%d late, want none", r.Late)
	}
}

// One request in flight at a time, and the first one is held until all others
// should have gone out: their wait is part of their TTFT.
func TestOpenLoopCountsFromTheIntendedTime(t *testing.T) {
	const n, rate = 10, 1000
	const held = 100 * time.Millisecond
	var first atomic.Bool
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			<-time.After(held)
		}
		stream(w, r)
	})
	cfg := short(s.URL, n)
	cfg.Concurrency, cfg.Rate, cfg.MaxInFlight = 0, rate, 1
	r := mustRun(t, cfg)
	counts(t, r, n, 0, "", 0)
	a := newArrivals(rate, 0, cfg.Seed)
	var last time.Duration
	for range n {
		last = a.next()
	}
	if least := (held - last).Seconds() * 1e3; least < 50 || r.TTFT.Min < least {
		t.Errorf("ttft is %+v, want at least %v ms of each", r.TTFT, least)
	}
	if r.Late == 0 || !strings.Contains(text(t, r), "--max-in-flight") {
		t.Errorf("%d late, and the text does not say it", r.Late)
	}
}

func TestDurationEndsBothLoops(t *testing.T) {
	s := serve(t, stream)
	f := func(rate float64, concurrency int) {
		t.Helper()
		cfg := short(s.URL, 0)
		cfg.Rate, cfg.Concurrency, cfg.Duration = rate, concurrency, 200*time.Millisecond
		r := mustRun(t, cfg)
		if r.Completed == 0 || r.Completed != r.Requests || r.DurationS < 0.2 {
			t.Errorf("rate %v: got %+v", rate, r)
		}
		if want := float64(r.Requests) / r.DurationS; math.Abs(r.RequestRate-want) > 0.001*want {
			t.Errorf("request rate %v, want %v", r.RequestRate, want)
		}
	}
	f(200, 0)
	f(0, 2)
}

func TestInterruptReportsWhatWasDone(t *testing.T) {
	f := func(workers int, change func(*Config)) {
		t.Helper()
		came := make(chan bool, workers)
		var n atomic.Int64
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) <= 3 {
				stream(w, r)
				return
			}
			say(w, roleEvent, tokenEvent(0))
			came <- true
			<-r.Context().Done()
		})
		cfg := short(s.URL, 0)
		cfg.Duration = time.Hour
		change(&cfg)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var last Progress
		done := make(chan Report, 1)
		go func() {
			r, err := Run(ctx, cfg, func(p Progress) { last = p })
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		for range workers { // each is held now, so that the three have ended
			within(t, "request", came)
		}
		cancel()
		r := within(t, "report", done)
		counts(t, r, 3, 0, "", 0)
		if r.Cut < workers || !strings.Contains(text(t, r), "cut") {
			t.Errorf("%d cut, and the text:\n%s", r.Cut, text(t, r))
		}
		if last.Done != 1 || last.InFlight != 0 || last.Completed != 3 {
			t.Errorf("the last progress is %+v", last)
		}
	}
	f(1, func(c *Config) { c.Concurrency = 1 })
	f(2, func(c *Config) { c.Concurrency, c.Rate, c.MaxInFlight = 0, 500, 2 })
}

func TestProgress(t *testing.T) {
	came, release := make(chan bool, 2), make(chan bool)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		came <- true
		<-release
		stream(w, r)
	})
	seen := make(chan Progress, 1000)
	done := make(chan Report, 1)
	go func() {
		r, err := Run(t.Context(), short(s.URL, 4), func(p Progress) { seen <- p })
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	for range 2 {
		within(t, "request", came)
	}
	for p := within(t, "progress", seen); p.InFlight != 2; p = within(t, "progress with two in flight", seen) {
		if p.Done != 0 || p.Requests != 0 {
			t.Fatalf("got %+v before any answer", p)
		}
	}
	close(release)
	within(t, "report", done)
	close(seen)
	var last Progress
	for last = range seen {
	}
	if last.Done != 1 || last.Requests != 4 || last.Completed != 4 || last.InFlight != 0 || last.OutputTokens != 20 || last.Elapsed <= 0 {
		t.Errorf("the last progress is %+v", last)
	}
}

func TestWrongConfigurationSendsNothing(t *testing.T) {
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came") })
	cfg := short(s.URL, 1)
	cfg.Timeout = 0
	if _, err := Run(t.Context(), cfg, nil); err == nil || !strings.Contains(err.Error(), "timeout: 0s is out of range") {
		t.Errorf("got error %v", err)
	}
}
