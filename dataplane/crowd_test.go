package dataplane

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/dataplane/ring"
	"penstock/scheduler"
)

// full starts a gateway whose one engine is busy, with a full line of size requests
// of the key low's.
func full(t *testing.T, size int, keys ...Key) (r *rig, held []*peer, came chan string, release chan struct{}) {
	t.Helper()
	e, came, release := gated(t)
	r = start(t, one(instances(e.url)), func(c *Config, s *scheduler.Config) {
		withKeys(append(keys, keyOf("low", "sk-low"))...)(c, s)
		c.Queue.MaxSize = size
	})
	for n := range size + 1 {
		p := r.dial()
		p.post(numbered(n), "Authorization: sk-low")
		held = append(held, p)
		if n == 0 {
			<-came
		}
		r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == float64(n) })
	}
	return r, held[1:], came, release
}

func TestFullLineMakesRoomForWhoMattersMore(t *testing.T) {
	high := keyOf("high", "sk-high")
	high.Priority = 10
	r, held, came, release := full(t, 3, high)
	p := r.dial()
	p.post(numbered(10), "Authorization: sk-high")
	resp, body := held[2].whole() // the last to come
	expect(t, resp, body, 429, "queue_full")
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	resp, body = r.do(numbered(11), "Authorization: sk-low")
	expect(t, resp, body, 429, "queue_full")
	for _, want := range []int{10, 1, 2} {
		release <- struct{}{}
		if got := <-came; got != numbered(want) {
			t.Fatalf("%s came to the engine, want number %d", got, want)
		}
	}
	release <- struct{}{}
	for _, p := range append(held[:2], p) {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
}

func TestOneKeyCannotShutOutAnother(t *testing.T) {
	r, held, _, release := full(t, 4, keyOf("ann", "sk-one"))
	var ann []*peer
	for n := range 2 {
		ann = append(ann, r.dial())
		ann[n].post(numbered(10+n), asAnn)
		resp, body := held[3-n].whole()
		expect(t, resp, body, 429, "queue_full")
	}
	resp, body := r.do(numbered(12), asAnn) // more than half of the line
	expect(t, resp, body, 429, "queue_full")
	close(release)
	for _, p := range append(held[:2], ann...) {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
}

// busy is a holder in front of one instance that takes nothing, of a line of size.
func busy(t *testing.T, size int64) (*holder, *station) {
	t.Helper()
	cfg := scheduler.DefaultConfig()
	cfg.Instances = []scheduler.InstanceConfig{{URL: "http://127.0.0.1:1", Name: "a", Models: []string{"m"}, MaxInFlight: 1}}
	sched, err := scheduler.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if d := sched.Pick(&scheduler.Query{Model: "m"}); d.Verdict != scheduler.Picked {
		t.Fatalf("verdict %v", d.Verdict)
	}
	s := newStations(func(i *scheduler.Instance) *station {
		return &station{inst: i, warm: new(warm), ring: ring.New[*waiter](ringSize)}
	})
	h := &holder{sched: sched, stations: s.all, max: size, line: scheduler.NewLine[*waiter](sched)}
	h.bell.Init()
	return h, s.of(sched.Instances()[0])
}

func noTime() int64 { return 1 }

// However many come at once, and go, so many are held as may be: those who matter
// most.
func TestTheLineIsNeverLongerThanItMayBe(t *testing.T) {
	const size, crowd = 3, 100
	h, st := busy(t, size)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); h.run(stop, noTime, rand.Uint64) }()
	stay, leave := make([]*waiter, crowd), make([]*waiter, crowd)
	var all sync.WaitGroup
	for n := range crowd {
		all.Go(func() { stay[n] = h.enter(&scheduler.Query{Model: "m", Priority: n, Key: n % 7}, st, 0, 0) })
		all.Go(func() {
			leave[n] = h.enter(&scheduler.Query{Model: "m", Priority: -1 - n, Key: n % 7}, st, 0, 0)
			leave[n].cancel()
			h.leave(leave[n])
		})
	}
	all.Wait()
	for n, w := range stay[:crowd-size] {
		<-w.done
		if got := w.state.Load(); got != displaced {
			t.Errorf("the one of priority %d is in state %d", n, got)
		}
		h.leave(w)
	}
	for n, w := range stay[crowd-size:] {
		if got := w.state.Load(); got != waiting {
			t.Errorf("number %d of those who matter most is in state %d", n, got)
		}
	}
	close(stop)
	<-ended
	if n, held := h.line.Len(), h.held.Load(); n != size || held != size {
		t.Errorf("%d are in line, %d are said to be", n, held)
	}
}

// What the last one in line was to wait for is forgotten as it leaves.
func TestAnEmptyLineIsLookedAtOnceMore(t *testing.T) {
	h, st := busy(t, 3)
	a, b := h.enter(&scheduler.Query{Model: "m"}, st, 0, 0), h.enter(&scheduler.Query{Model: "m"}, st, 0, 0)
	h.look(1, rand.Uint64)
	h.bell.Sleep() // rung by who came
	for n, w := range []*waiter{a, b} {
		w.cancel()
		h.leave(w)
		if rung := !h.bell.Sleep(); rung != (n == 1) {
			t.Errorf("number %d left: rung %v", n, rung)
		}
		h.bell.Wake()
	}
	if h.look(1, rand.Uint64); h.line.Len() != 0 {
		t.Errorf("%d in line", h.line.Len())
	}
}

// late starts a gateway that binds late, with an engine that always takes more and
// answers when released. The prompts are large: it is better to wait with them.
func late(t *testing.T, size int) (r *rig, came chan string, release chan struct{}) {
	came, release = make(chan string, 1000), make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(b), `"user":"`)
		name, _, _ := strings.Cut(rest, `"`)
		came <- name
		select {
		case <-r.Context().Done():
		case <-release:
		}
		ok(w, r)
	})
	r = start(t, instances(e.url), func(c *Config, s *scheduler.Config) {
		s.Policy = "predictive"
		c.Queue.MaxSize = size
	})
	r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	return r, came, release
}

func large(name string) string {
	return fmt.Sprintf(`{"model":"m","stream":true,"user":"%s","prompt":"%s %s"}`, name, name, strings.Repeat("word ", 20_000))
}

// crowd fills the line, and returns who came.
func crowd(r *rig, came chan string, size int) (peers []*peer) {
	r.t.Helper()
	for n := 0; int(r.metric("penstock_gateway_pending")) < size; n++ {
		if n == 100 {
			r.t.Fatal("of 100 requests none is held")
		}
		p := r.dial()
		p.post(large(fmt.Sprint("first ", n)))
		peers = append(peers, p)
		r.until("the request to be held or given away", func() bool {
			return len(came)+int(r.metric("penstock_gateway_pending")) == n+1
		})
	}
	return peers
}

// When more come than may wait, requests are given away as they come, but in the
// order of the line.
func TestWhoFindsTheLineFullDoesNotOvertakeIt(t *testing.T) {
	r, came, release := late(t, 2)
	peers := crowd(r, came, 2)
	for len(came) > 0 {
		<-came
	}
	for n := range 2 {
		p := r.dial()
		p.post(large("late"), "X-Penstock-Priority: -1000")
		peers = append(peers, p)
		if got := <-came; got != fmt.Sprint("first ", len(peers)-3) {
			t.Errorf("%q is given away at number %d of those who came late", got, n)
		}
	}
	close(release)
	for _, p := range peers {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
}

// An engine that takes more gets it, however short the line may be.
func TestAShortLineRefusesNobodyWhomAnEngineTakes(t *testing.T) {
	r, _, release := late(t, 1)
	var all sync.WaitGroup
	for n := range 8 {
		p := r.dial()
		p.post(large(fmt.Sprint(n)))
		all.Go(func() {
			resp, body := p.whole()
			if resp.StatusCode != 200 {
				t.Errorf("request %d got %d %s", n, resp.StatusCode, body)
			}
		})
	}
	close(release)
	all.Wait()
}

// Time that a client takes to send its request is not the router's.
func TestSlowUploadIsServedAllTheSame(t *testing.T) {
	const promised = 300 * time.Millisecond
	r := start(t, instances(newEngine(t, ok).url), func(c *Config, s *scheduler.Config) {
		s.Policy = "predictive"
		c.Queue.Promised = promised
		s.SLO = scheduler.SLO{TTFT: promised, ITL: time.Second}
	})
	r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	p := r.dial()
	p.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask[:10])
	r.until("the request to arrive", func() bool { return r.metric("penstock_gateway_requests") == 1 })
	began := r.g.now()
	r.until("the promised time to pass", func() bool { return r.g.now()-began > int64(promised) })
	p.send("%s", ask[10:])
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
}

// Whose promised time passes in line hears how long it would take.
func TestWhoWaitedInVainHearsHowLongItTakes(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	r := start(t, one(instances(e.url)), func(c *Config, s *scheduler.Config) {
		s.Policy = "predictive"
		c.Queue.Promised = 200 * time.Millisecond
	})
	r.dial().post(large("first"))
	<-came
	var held []*peer
	for n := range 2 { // the second is not even asked for
		held = append(held, r.dial())
		held[n].post(large("held"))
	}
	for _, p := range held {
		resp, body := p.whole()
		expect(t, resp, body, 429, "slo_missed")
		if s, _ := strconv.Atoi(resp.Header.Get("Retry-After")); s < 2 {
			t.Errorf("Retry-After: %d s, behind 25,000 prompt tokens", s)
		}
	}
}
