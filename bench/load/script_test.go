package load

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/bench/sim"
	"penstock/bench/workload"
)

// recorded is a workload of a trace.
func recorded(t *testing.T, lines ...string) *workload.Workload {
	t.Helper()
	w, err := workload.FromTrace("trace", strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func published(t *testing.T, name string) *workload.Workload {
	t.Helper()
	w, err := workload.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// scripted is a run of a workload, a hundred times as fast.
func scripted(url string, w *workload.Workload) Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.Model, cfg.Workload, cfg.TimeScale, cfg.Timeout = url, "m", w, 100, 100*patience
	return cfg
}

// engine simulates one for a test.
func engine(t *testing.T, profile string, scale float64) (url string) {
	t.Helper()
	c := sim.DefaultConfig()
	c.Listen, c.Profile, c.Model, c.TimeScale = "127.0.0.1:0", profile, "m", scale
	fleet, err := sim.Start(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleet.Close() })
	return fleet.URLs()[0]
}

func TestTraceIsReplayed(t *testing.T) {
	var asked bodies
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if body := asked.take(t, r); body["ignore_eos"] != true {
			t.Errorf("asked with %v, want ignore_eos", body)
		}
		say(w, tokenEvent(0), doneEvent)
	})
	cfg := scripted(s.URL, recorded(t,
		`{"timestamp": 0, "input_length": 600, "output_length": 7, "hash_ids": [1, 2]}`,
		`{"timestamp": 1000, "input_length": 700, "output_length": 8, "hash_ids": [1, 3]}`,
		`{"timestamp": 5000, "input_length": 20, "output_length": 9, "hash_ids": []}`))
	began := time.Now()
	r := mustRun(t, cfg)
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("five seconds, a hundred times as fast, took %v, want 50ms and more", took)
	}
	counts(t, r, 3, 0, "", 0)
	if r.DurationS < 5 || r.InputTokens != 600+700+20 || r.PrefixHitRate != nil {
		t.Errorf("got %+v, want more than 5 s and the trace's tokens", r)
	}
	prompts := asked.prompts(t)
	slices.SortFunc(prompts, func(a, b string) int { return len(b) - len(a) })
	if len(prompts[0]) != 4*700 || len(prompts[1]) != 4*600 || len(prompts[2]) != 4*20 {
		t.Errorf("prompts of %d, %d and %d bytes, want 4 for each token", len(prompts[0]), len(prompts[1]), len(prompts[2]))
	}
	if prompts[0][:4*512] != prompts[1][:4*512] || prompts[0][4*512:4*520] == prompts[1][4*512:4*520] {
		t.Error("want the first block shared, and no more")
	}
}

// The engine of each test that follows has 1 % of the time that it simulates.

func TestOutputIsAsLongAsTheWorkloadSays(t *testing.T) {
	cfg := scripted(engine(t, "8b-h100", 100), recorded(t,
		`{"timestamp": 0, "input_length": 600, "output_length": 17, "hash_ids": [1, 2]}`,
		`{"timestamp": 3000, "input_length": 600, "output_length": 30, "hash_ids": [1, 2]}`))
	r := mustRun(t, cfg)
	counts(t, r, 2, 0, "", 0)
	if r.OutputTokens != 47 {
		t.Errorf("%d tokens came, want 47", r.OutputTokens)
	}
	if r.PrefixHitRate == nil || *r.PrefixHitRate < 0.4 || *r.PrefixHitRate > 0.5 {
		t.Errorf("prefix hit rate %v, want nearly half: the second prompt is the first", r.PrefixHitRate)
	}
	// 30 ms and 600 tokens of 0.2 ms each, then 29 steps of 10 ms.
	if r.TTFT.Max < 150 || r.E2E.Max < 290 {
		t.Errorf("ttft %+v and e2e %+v, want them in the engine's time", r.TTFT, r.E2E)
	}
}

// A chat's next prompt has the engine's own answer in it, as the assistant's
// message, and so finds it in the cache.
func TestConversationGoesOnWithTheAnswer(t *testing.T) {
	f := func(endpoint string) {
		cfg := scripted(engine(t, "8b-l4", 1000), published(t, "one"))
		cfg.TimeScale, cfg.Requests, cfg.Endpoint = 1000, 30, endpoint
		r := mustRun(t, cfg)
		counts(t, r, 30, 0, "", 0)
		// What cannot be cached is each prompt's newest part, 70 tokens of 1,500, a
		// block's rest, and what begins a conversation.
		if r.PrefixHitRate == nil || *r.PrefixHitRate < 0.85 {
			t.Errorf("%s: prefix hit rate %v, want 85 %% and more", endpoint, r.PrefixHitRate)
		}
	}
	f(Chat)
	f(Completions)
}

// The server fails a request whose client has one under way.
func TestClientsOfAClosedLoopWaitForTheirAnswers(t *testing.T) {
	var mu sync.Mutex
	now, most := make(map[string]int), 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		session := r.Header.Get("X-Session-Id")
		mu.Lock()
		now[session]++
		most = max(most, now[session])
		mu.Unlock()
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		now[session]--
		mu.Unlock()
		say(w, tokenEvent(0), doneEvent)
	})
	cfg := scripted(s.URL, published(t, "agents"))
	cfg.Rate, cfg.Requests, cfg.TimeScale = 4, 40, 1000
	r := mustRun(t, cfg)
	counts(t, r, 40, 0, "", 0)
	if len(now) != 4 || most != 1 {
		t.Errorf("%d sessions with up to %d requests at once, want 4 with 1", len(now), most)
	}
}

// A client whose request finds nobody pauses before its next, in a workload's
// loop as in a plain one.
func TestNobodyThereIsNotAskedWithoutPause(t *testing.T) {
	s := serve(t, stream)
	url := s.URL
	s.Close()
	f := func(cfg Config) {
		t.Helper()
		cfg.Requests = 21
		began := time.Now()
		counts(t, mustRun(t, cfg), 0, 0, classConnect, cfg.Requests)
		if took := time.Since(began); took < 20*failurePause {
			t.Errorf("a client's %d requests went out within %v, want %v between two", cfg.Requests, took, failurePause)
		}
	}
	alone := scripted(url, published(t, "one"))
	alone.TimeScale = 1000
	f(alone)
	plain := short(url, 0)
	plain.Concurrency = 1
	f(plain)
}

// w1's second stage waits for all of its warm-up, which is not measured.
func TestStageWaitsForTheWarmUp(t *testing.T) {
	var mu sync.Mutex
	came, ended, early := 0, 0, false
	cfg := Config{}
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		if came++; came > warmUps && ended < warmUps {
			early = true
		}
		mu.Unlock()
		say(w, tokenEvent(0), doneEvent)
		mu.Lock()
		ended++
		mu.Unlock()
	})
	cfg = scripted(s.URL, published(t, "w1"))
	cfg.Rate, cfg.TimeScale, cfg.Duration = 20, 200, 2*time.Second
	r := mustRun(t, cfg)
	if r.Warm != warmUps || r.Requests == 0 || r.Requests > 80 || early {
		t.Errorf("%d to warm up and %d measured, the first of them early: %v; want %d and about 40", r.Warm, r.Requests, early, warmUps)
	}
	if r.RequestRate > 40 { // were the warm-up part of it, there would be hundreds
		t.Errorf("%v requests/s, want about 20: the warm-up is no part of it", r.RequestRate)
	}
}

// warmUps are w1's with the seed 1.
const warmUps = 740

func TestEachClientHasItsKey(t *testing.T) {
	f := func(want []string, keys ...string) {
		t.Helper()
		var mu sync.Mutex
		seen := make(map[string]bool)
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			mu.Lock()
			seen[r.Header.Get("Authorization")] = true
			mu.Unlock()
			say(w, tokenEvent(0), doneEvent)
		})
		cfg := scripted(s.URL, published(t, "w7-overload"))
		cfg.APIKeys, cfg.Requests = keys, 30
		mustRun(t, cfg)
		for _, key := range want {
			if !seen[key] || len(seen) != len(want) {
				t.Errorf("keys %v: saw %v, want %v", keys, seen, want)
			}
		}
	}
	f([]string{""})
	f([]string{"Bearer a"}, "a")
	f([]string{"Bearer a", "Bearer b"}, "a", "b")
}

func TestInterruptEndsAWorkload(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	cfg := scripted(s.URL, published(t, "w12"))
	cfg.Rate, cfg.MaxInFlight = 100, 3 // it has to wait for room, too
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	done := make(chan Report, 1)
	go func() {
		r, err := Run(ctx, cfg, func(p Progress) {
			if p.InFlight == 3 {
				stop()
			}
		})
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	if r := within(t, "end", done); r.Requests != 0 || r.Cut != 3 {
		t.Errorf("got %d requests and %d cut, want 0 and 3", r.Requests, r.Cut)
	}
}
