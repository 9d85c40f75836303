package dataplane

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"penstock/dataplane/ring"
	"penstock/scheduler"
	eng "penstock/scheduler/engine"
)

// gated is an engine that takes requests one by one: each tells its prompt and
// waits for a release.
func gated(t *testing.T) (e *engine, came chan string, release chan struct{}) {
	came, release = make(chan string, 64), make(chan struct{})
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		came <- string(b)
		select {
		case <-release:
			ok(w, r)
		case <-r.Context().Done():
		}
	}), came, release
}

func one(list []scheduler.InstanceConfig) []scheduler.InstanceConfig {
	for i := range list {
		list[i].MaxInFlight = 1
	}
	return list
}

func numbered(i int) string { return `{"model":"m","prompt":"` + strconv.Itoa(i) + `"}` }

func TestHeldRequestsGoOutInOrderOfArrival(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, one(instances(e.url)), nil)
	var peers []*peer
	for i := range 5 {
		p := r.dial()
		p.post(numbered(i))
		peers = append(peers, p)
		if i == 0 {
			<-came
		}
		r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == float64(i) })
	}
	for i, p := range peers {
		if i > 0 {
			if got := <-came; got != numbered(i) {
				t.Fatalf("request %d came to the engine as number %d", i, i)
			}
		}
		release <- struct{}{}
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
}

func TestHeldRequestTakesWhicheverInstanceFreesFirst(t *testing.T) {
	a, cameA, releaseA := gated(t)
	b, cameB, releaseB := gated(t)
	r := start(t, one(instances(a.url, b.url)), nil)
	for range 2 {
		r.dial().post(ask)
	}
	<-cameA
	<-cameB
	p := r.dial()
	p.post(numbered(7))
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	releaseB <- struct{}{}
	if got := <-cameB; got != numbered(7) {
		t.Fatal("another request came")
	}
	releaseB <- struct{}{}
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
	releaseA <- struct{}{}
}

func TestFullQueueAnswersAtOnce(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	r := start(t, one(instances(e.url)), func(c *Config, _ *scheduler.Config) { c.Queue.MaxSize = 1 })
	r.dial().post(ask)
	<-came
	r.dial().post(ask)
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	resp, body := r.do(ask)
	expect(t, resp, body, 429, "queue_full")
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

func TestNoQueueHoldsNothing(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	r := start(t, one(instances(e.url)), func(c *Config, _ *scheduler.Config) { c.Queue.MaxSize = 0 })
	r.dial().post(ask)
	<-came
	resp, body := r.do(ask)
	expect(t, resp, body, 429, "queue_full")
}

func TestHeldTooLong(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	r := start(t, one(instances(e.url)), func(c *Config, _ *scheduler.Config) { c.Queue.Timeout = 50 * time.Millisecond })
	r.dial().post(ask)
	<-came
	resp, body := r.do(ask)
	expect(t, resp, body, 429, "queue_timeout")
}

func TestClientThatLeavesWhileHeldIsForgotten(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, one(instances(e.url)), nil)
	first := r.dial()
	first.post(numbered(0))
	<-came
	leaver := r.dial()
	leaver.post(numbered(1))
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	leaver.Close()
	r.until("the abort", func() bool { return r.metric(`penstock_aborts_total{when="pending"}`) == 1 })
	r.until("the line to be empty", func() bool { return r.metric("penstock_gateway_pending") == 0 })
	release <- struct{}{}
	first.whole()
	last := r.dial()
	last.post(numbered(2))
	if got := <-came; got != numbered(2) {
		t.Fatalf("the engine got %s", got)
	}
	release <- struct{}{}
	last.whole()
}

func TestEngineThatReportsWaitingIsFull(t *testing.T) {
	e, came, release := gated(t)
	e.say(strings.Replace(calmMetrics, "waiting{model_name=\"m\"} 0", "waiting{model_name=\"m\"} 3", 1))
	r := start(t, instances(e.url), nil)
	r.until("the scrape", func() bool { return r.sched.Instances()[0].Status().Waiting == 3 })
	p := r.dial()
	p.post(ask)
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	e.say(calmMetrics)
	<-came
	release <- struct{}{}
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
}

// A line full of requests for one model is no reason to refuse another's, whose
// instance is idle.
func TestFullLineOfOneModelDoesNotRefuseAnother(t *testing.T) {
	e, came, release := gated(t)
	other := newEngine(t, ok)
	other.models = "n"
	r := start(t, one(instances(e.url, other.url)), func(c *Config, _ *scheduler.Config) { c.Queue.MaxSize = 1 })
	r.until("both models to be known", func() bool { return len(r.sched.Models()) == 2 })
	r.dial().post(ask)
	<-came
	r.dial().post(ask)
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	resp, body := r.do(ask)
	expect(t, resp, body, 429, "queue_full")
	resp, body = r.do(`{"model":"n","prompt":"hello"}`)
	expect(t, resp, body, 200, "")
	close(release)
}

// Who stands too far behind for what was promised is let go when the line's pace
// is known, and not when the promised time is over.
func TestWhoStandsTooFarBehindIsLetGoAtOnce(t *testing.T) {
	cfg := scheduler.DefaultConfig()
	cfg.Policy, cfg.Instances = "predictive", one(instances("http://127.0.0.1:1"))
	sched, err := scheduler.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	i := sched.Instances()[0]
	sched.Serves(i, []eng.Model{{ID: "m"}})
	sched.Tell(i, &eng.Reading{Kind: eng.VLLM})
	s := newStations(func(i *scheduler.Instance) *station {
		return &station{inst: i, warm: new(warm), ring: ring.New[*waiter](128)}
	})
	h := &holder{sched: sched, stations: s.all, max: 1000, line: scheduler.NewLine[*waiter](sched)}
	h.bell.Init()
	now := int64(time.Second)
	look := func() { h.look(now, func() uint64 { return 1 }) }
	const promised = int64(2 * time.Second)
	var line []*waiter
	for range 100 {
		q := &scheduler.Query{Model: "m", MaxTokens: 1, PromptTokens: 16, Arrived: now, Held: now}
		line = append(line, h.enter(q, s.of(i), 0, now+promised))
	}
	for n := range 12 { // ten a second
		look()
		if line[n].state.Load() != bound {
			t.Fatalf("number %d was not given away", n)
		}
		line[n].decision.Reservation.End()
		h.freed()
		now += int64(100 * time.Millisecond)
	}
	look()
	if line[99].state.Load() != belated || line[99].decision.TTFT < 5 {
		t.Errorf("the last is in state %d, and would wait %v s", line[99].state.Load(), line[99].decision.TTFT)
	}
	if line[15].state.Load() != waiting {
		t.Errorf("the next but few is in state %d", line[15].state.Load())
	}
}
