package dataplane

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/telemetry"
)

// An engine that counts its tokens as vLLM does, with one request in it.
const busyMetrics = calmMetrics + "vllm:prompt_tokens_total{model_name=\"m\"} 7\nvllm:generation_tokens_total{model_name=\"m\"} 5\n"

var stuckMetrics = strings.Replace(busyMetrics, "running{model_name=\"m\"} 0", "running{model_name=\"m\"} 1", 1)

// soon makes a hang a matter of a moment, and so a head that does not come.
func soon(c *Config, s *scheduler.Config) {
	s.Health.Stall = 300 * time.Millisecond
	c.Limits.HeaderTimeout = short
}

// stopped is an engine that takes requests, begins them, and does no more until
// it is released. came tells of a client's requests; the router's own, which ask
// whether it lives, do not count.
func stopped(t *testing.T, begin func(w http.ResponseWriter, body string)) (e *engine, came chan string, release chan struct{}) {
	came, release = make(chan string, 64), make(chan struct{})
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if begin != nil {
			begin(w, string(b))
		}
		if !strings.Contains(string(b), `"ping"`) {
			came <- string(b)
		}
		select {
		case <-release:
			if strings.Contains(string(b), `"stream":true`) {
				event(w, "[DONE]")
				return
			}
			ok(w, r)
		case <-r.Context().Done():
		}
	}), came, release
}

// well waits until every instance is healthy: only then it can hang.
func (r *rig) well() {
	r.t.Helper()
	r.until("the instances to be healthy", func() bool {
		return !slices.ContainsFunc(r.sched.Instances(), func(i *scheduler.Instance) bool { return i.State() != scheduler.Healthy })
	})
}

// swept waits until the sweeper has been round: it ends a head that does not
// come before it looks for requests that hang, so that two make one whole round.
func (r *rig) swept() {
	r.t.Helper()
	for range 2 {
		p := r.dial()
		p.send("GET /pi")
		resp, body := p.whole()
		expect(r.t, resp, body, 408, "request_timeout")
		p.Close()
	}
}

// hungTimes is how often the instance was counted as hung.
func (r *rig) hungTimes(i *scheduler.Instance) (failures, ejections string) {
	var w telemetry.Writer
	r.sched.Collect(&w)
	for line := range strings.Lines(string(w.Bytes())) {
		if !strings.Contains(line, `instance="`+i.Name+`"`) || !strings.Contains(line, `"hung"`) {
			continue
		}
		if n := strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]); strings.HasPrefix(line, "penstock_instance_failures_total{") {
			failures = n
		} else if strings.HasPrefix(line, "penstock_instance_ejections_total{") {
			ejections = n
		}
	}
	return failures, ejections
}

func TestRequestOfAHungInstanceGoesElsewhere(t *testing.T) {
	headOnly := func(w http.ResponseWriter, _ string) {
		sse(w)
		w.(http.Flusher).Flush()
	}
	f := func(name, body, metrics string, begin func(http.ResponseWriter, string)) {
		t.Helper()
		hung, came, _ := stopped(t, begin)
		hung.say(metrics)
		good, answered := counting(t)
		r := start(t, instances(hung.url, good.url), soon)
		r.well()
		a := r.sched.Named("a")
		r.sched.Drain("b", true) // so that the other has it
		p := r.dial()
		p.post(body)
		<-came
		r.sched.Drain("b", false)
		resp, text := p.whole()
		expect(t, resp, text, 200, "")
		p.alive()
		r.until("the requests to have ended", func() bool { return r.metric("penstock_gateway_requests") == 0 })
		if !a.Stuck() || answered.Load() != 1 || len(came) != 0 {
			t.Errorf("%s: hung %v; the other had it %d times, and the one that hangs %d times more", name, a.Stuck(), answered.Load(), len(came))
		}
		for series, want := range map[string]float64{
			`penstock_requests_total{route="/v1/completions",code="200",key=""}`: 1,
			`penstock_retries_total{outcome="ok"}`:                               1,
			`penstock_retries_total{outcome="failed"}`:                           0,
			`penstock_retries_total{outcome="exhausted"}`:                        0,
			`penstock_prompt_tokens_total`:                                       3,
			`penstock_generation_tokens_total`:                                   2,
			`penstock_ttft_seconds_count`:                                        1,
			`penstock_request_seconds_count`:                                     1,
			`penstock_pending_seconds_count`:                                     1,
			`penstock_tokens_saved_total`:                                        0,
		} {
			if got := r.metric(series); got != want {
				t.Errorf("%s: %s is %v, want %v", name, series, got, want)
			}
		}
		if s := r.g.Stats(); s.Errors != 0 || s.Aborts != 0 {
			t.Errorf("%s: %d errors, %d aborts", name, s.Errors, s.Aborts)
		}
		if failures, ejections := r.hungTimes(a); failures != "1" || ejections != "1" {
			t.Errorf("%s: one hang counts as %s failures and %s ejections", name, failures, ejections)
		}
		for _, i := range r.sched.Instances() {
			if n := i.Status().InFlight; n != 0 {
				t.Errorf("%s: %d in flight at %s", name, n, i.Name)
			}
		}
	}
	f("a stream, by our account alone", askStream, calmMetrics, nil)
	f("a whole answer, by the engine's counters", ask, stuckMetrics, nil)
	f("a large request", padded(100_000), stuckMetrics, nil)
	f("a head and nothing more", askStream, calmMetrics, headOnly)
}

// Many at once, and the instance that hangs among others.
func TestAllRequestsOfAHungInstanceGoElsewhere(t *testing.T) {
	const many = 40
	hung, came, _ := stopped(t, nil)
	good, answered := counting(t)
	r := start(t, roomy(instances(hung.url, good.url, newEngine(t, ok).url)), soon)
	r.well()
	r.sched.Drain("b", true)
	r.sched.Drain("c", true)
	var all []*peer
	for range many {
		p := r.dial()
		p.post(askStream)
		all = append(all, p)
	}
	for range many {
		<-came
	}
	r.sched.Drain("b", false)
	r.sched.Drain("c", false)
	for _, p := range all {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
	r.until("the retries to be counted", func() bool { return r.metric(`penstock_retries_total{outcome="ok"}`) == many })
	if n := int(answered.Load()); n == 0 || n == many {
		t.Errorf("of two others, one had %d of %d", n, many)
	}
	if failures, ejections := r.hungTimes(r.sched.Named("a")); failures != "1" || ejections != "1" {
		t.Errorf("one hang counts as %s failures and %s ejections", failures, ejections)
	}
}
