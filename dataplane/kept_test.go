package dataplane

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/scheduler"
)

// A stream under way is not retried: it may go on.
func TestStreamOfAHungInstanceIsKept(t *testing.T) {
	hung, came, release := stopped(t, func(w http.ResponseWriter, body string) {
		if strings.Contains(body, "begun") {
			sse(w)
			event(w, "one")
		}
	})
	hung.say(stuckMetrics)
	r := start(t, instances(hung.url, newEngine(t, ok).url), soon)
	r.well()
	r.sched.Drain("b", true)
	begun, silent := r.dial(), r.dial()
	begun.post(`{"model":"m","prompt":"begun","stream":true}`)
	<-came
	body := begun.response().Body
	silent.post(ask)
	<-came
	r.sched.Drain("b", false)
	resp, text := silent.whole() // it was moved: so would have been the other
	expect(t, resp, text, 200, "")
	if !r.sched.Named("a").Stuck() {
		t.Error("the instance does not hang")
	}
	r.swept()
	close(release)
	if b, err := io.ReadAll(body); err != nil || string(b) != "data: one\n\ndata: [DONE]\n\n" {
		t.Errorf("the stream: %q, %v", b, err)
	}
	begun.alive()
}

func TestStreamOfAHungInstanceEndsByItsOwnTimeout(t *testing.T) {
	const stall = 2 * time.Second
	hung, came, gone := hanging(t, true)
	hung.say(stuckMetrics)
	r := start(t, instances(hung.url, newEngine(t, ok).url), func(c *Config, s *scheduler.Config) {
		soon(c, s)
		c.Limits.StallTimeout = stall
	})
	r.well()
	r.sched.Drain("b", true)
	began := time.Now()
	p := r.dial()
	p.post(askStream)
	r.wait(came, "the request")
	r.sched.Drain("b", false)
	body := p.response().Body
	r.until("the hang", r.sched.Named("a").Stuck)
	b, err := io.ReadAll(body)
	if took := time.Since(began); took < stall {
		t.Errorf("the stream was given up after %v", took)
	}
	if err != nil || !strings.HasPrefix(string(b), "data: one\n\ndata: {\"error\":") || !strings.Contains(string(b), `"code":"instance_timeout"`) {
		t.Errorf("the stream: %q, %v", b, err)
	}
	r.wait(gone, "the engine to see us leave")
	p.alive()
	r.until("the error to be counted", func() bool { return r.metric(`penstock_request_errors_total{reason="instance_timeout"}`) == 1 })
	if n := r.metric(`penstock_retries_total{outcome="ok"}`); n != 0 {
		t.Errorf("%v retries of a stream that had begun", n)
	}
}

// Better late than never: who has nowhere else to go waits on.
func TestRequestOfAHungInstanceIsKeptWhereNoOtherCanTakeIt(t *testing.T) {
	f := func(name string, others []string, before, after func(*rig)) {
		t.Helper()
		hung, came, release := stopped(t, nil)
		r := start(t, instances(append([]string{hung.url}, others...)...), soon)
		a := r.sched.Named("a")
		r.until("the instance to be healthy", func() bool { return a.State() == scheduler.Healthy })
		before(r)
		p := r.dial()
		p.post(askStream)
		<-came
		r.until("the hang", a.Stuck)
		r.swept()
		if n := a.Status().InFlight; n != 1 {
			t.Errorf("%s: it was not kept: %d in flight", name, n)
		}
		if after == nil {
			close(release)
		} else {
			after(r)
		}
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
		r.until("the request to have ended", func() bool { return r.metric("penstock_gateway_requests") == 0 })
		retries := 0.0
		if after != nil {
			retries = 1
		}
		if n := r.metric(`penstock_retries_total{outcome="ok"}`); n != retries {
			t.Errorf("%s: %v retries, want %v", name, n, retries)
		}
	}
	drained := func(r *rig) { r.sched.Drain("b", true) }
	nothing := func(*rig) {}
	good, stranger := newEngine(t, ok), newEngine(t, ok)
	stranger.models = "n"
	f("alone", nil, nothing, nil)
	f("the other drains", []string{good.url}, drained, nil)
	f("the other is dead", []string{deadURL(t)}, func(r *rig) {
		r.until("the other to be known as dead", func() bool { return r.sched.Named("b").Status().Reason != "" })
	}, nil)
	f("the other serves another model", []string{stranger.url}, func(r *rig) {
		r.until("the models to be known", func() bool { return len(r.sched.Models()) == 2 })
	}, nil)
	f("alone, until another comes", nil, nothing, func(r *rig) {
		if err := r.sched.Set("file", []scheduler.InstanceConfig{{URL: good.url, Name: "new"}}); err != nil {
			t.Error(err)
		}
	})
	f("the other drains, until it no longer does", []string{good.url}, drained, func(r *rig) { r.sched.Drain("b", false) })
}

// What was tried already cannot better it.
func TestRequestThatAllOthersFailedStaysWhereItHangs(t *testing.T) {
	var asked atomic.Int32
	fail := make(chan struct{})
	hung, came, release := stopped(t, nil)
	bad := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-fail
		reset(w, r)
	})
	r := start(t, instances(hung.url, bad.url), soon)
	r.well()
	a, b := r.sched.Named("a"), r.sched.Named("b")
	r.sched.Drain("a", true) // so that b has it first
	p := r.dial()
	p.post(askStream)
	r.until("the request to be with the first", func() bool { return asked.Load() == 1 })
	r.sched.Drain("a", false)
	close(fail)
	<-came
	r.until("the hang", a.Stuck)
	r.until("the first to be back", func() bool { return b.State() == scheduler.Healthy })
	r.swept()
	close(release)
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
}
