package dataplane

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/telemetry"
)

// The ways in which a client leaves.
var departures = map[string]func(net.Conn){
	"FIN":        func(c net.Conn) { c.Close() },
	"RST":        func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
	"half-close": func(c net.Conn) { c.(*net.TCPConn).CloseWrite() },
}

// aborted reads how many requests were.
func (r *rig) aborted(when string) float64 {
	return r.metric(`penstock_aborts_total{when="` + when + `"}`)
}

// unblemished checks that nothing counts against the instances.
func (r *rig) unblemished() {
	r.t.Helper()
	for _, i := range r.sched.Instances() {
		if s := i.State(); s != scheduler.Healthy && s != scheduler.Starting {
			r.t.Errorf("instance %s is %v", i.Name, s)
		}
	}
	var w telemetry.Writer
	r.sched.Collect(&w)
	for line := range strings.Lines(string(w.Bytes())) {
		if strings.HasPrefix(line, "penstock_instance_failures_total{") && !strings.HasSuffix(line, " 0\n") {
			r.t.Errorf("counted against the instance: %s", line)
		}
	}
}

func TestEngineLearnsOfADepartureAtOnce(t *testing.T) {
	f := func(when, body string, first bool) {
		t.Helper()
		e, came, gone := hanging(t, first)
		r := start(t, instances(e.url), nil)
		n := 0.0
		for way, leave := range departures {
			p := r.dial()
			p.post(body)
			r.wait(came, "the request")
			if first {
				p.response()
			}
			left := time.Now()
			leave(p.Conn)
			r.wait(gone, "the engine's connection to end")
			t.Logf("%s, %s: the engine knew after %v", when, way, time.Since(left))
			n++
			r.until("the abort to be counted", func() bool { return r.aborted(when) == n })
			r.until("nothing to be in flight", func() bool { return r.metric("penstock_gateway_requests") == 0 })
		}
		r.until("the departures to be counted", func() bool {
			return r.metric(`penstock_requests_total{route="/v1/completions",code="499",key=""}`) == n &&
				r.metric(`penstock_request_errors_total{reason="client_gone"}`) == n
		})
		r.unblemished()
	}
	f("before_first_byte", askStream, false)
	f("before_first_byte", ask, false)
	f("before_first_byte", padded(100_000), false)
	f("streaming", askStream, true)
}

func TestHeldRequestEndsWithItsClient(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, one(instances(e.url)), nil)
	first := r.dial()
	first.post(ask)
	<-came
	n := 0.0
	for way, leave := range departures {
		p := r.dial()
		p.post(ask)
		r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
		leave(p.Conn)
		n++
		r.until("the abort, by "+way, func() bool { return r.aborted("pending") == n && r.metric("penstock_gateway_pending") == 0 })
	}
	close(release)
	first.whole()
	r.until("nothing to be in flight", func() bool { return r.sched.Instances()[0].Status().InFlight == 0 })
	if len(came) != 0 {
		t.Errorf("%d requests of clients that had left came to the engine", len(came))
	}
	if n := r.metric("penstock_tokens_saved_total"); n != 0 {
		t.Errorf("%v tokens saved by requests that no engine had", n)
	}
}

func TestTokensSaved(t *testing.T) {
	const events = 7
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if strings.Contains(string(b), `"stream":true`) {
			sse(w)
			for i := range events {
				event(w, fmt.Sprintf(`{"choices":[{"text":"%d"}]}`, i))
			}
		}
		<-r.Context().Done()
	})
	f := func(body string, streams bool, want float64) {
		t.Helper()
		r := start(t, instances(e.url), nil)
		r.until("the model to be known", func() bool { return len(r.sched.Models()) == 1 })
		p := r.dial()
		p.post(body)
		if streams {
			text := p.response().Body
			for n := 0; n < events; {
				b := make([]byte, 1)
				if _, err := io.ReadFull(text, b); err != nil {
					t.Fatal(err)
				}
				if b[0] == 'd' { // of data
					n++
				}
			}
		} else {
			r.until("the request to be on its way", func() bool { return r.sched.Instances()[0].Status().InFlight == 1 })
		}
		p.Close()
		r.until("the abort", func() bool { return r.aborted("streaming")+r.aborted("before_first_byte") == 1 })
		r.until("the tokens to be counted", func() bool { return r.metric("penstock_tokens_saved_total") == want })
	}
	f(`{"model":"m","max_tokens":100}`, false, 100)
	f(`{"model":"m","max_completion_tokens":50,"max_tokens":100}`, false, 50)
	f(`{"model":"m"}`, false, 256)                          // what answers are thought to have at first
	f(`{"model":"m","max_tokens":2147483647}`, false, 4096) // no more than the context has room for
	f(`{"model":"m","max_tokens":100,"stream":true}`, true, 100-events)
	f(`{"model":"m","max_tokens":3,"stream":true}`, true, 0)
}

func TestAbortedConnectionIsNotUsedAgain(t *testing.T) {
	came := make(chan struct{}, 1)
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if string(b) == askStream {
			sse(w)
			event(w, "from another request")
			came <- struct{}{}
			<-r.Context().Done()
			event(w, "from another request")
			return
		}
		ok(w, r)
	})
	r := start(t, instances(e.url), nil)
	for range 20 {
		p := r.dial()
		p.post(askStream)
		<-came
		p.Close()
		if resp, body := r.do(ask); resp.StatusCode != 200 || strings.Contains(body, "another") {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	}
}

// roomy instances are never full.
func roomy(list []scheduler.InstanceConfig) []scheduler.InstanceConfig {
	for i := range list {
		list[i].MaxInFlight = 1 << 10
	}
	return list
}

func TestManyClientsThatHangUpTogetherAreNoFault(t *testing.T) {
	for _, first := range []bool{false, true} {
		e, came, gone := hanging(t, first)
		r := start(t, roomy(instances(e.url)), nil)
		var all []*peer
		for range 64 {
			p := r.dial()
			p.post(askStream)
			all = append(all, p)
		}
		for _, p := range all {
			r.wait(came, "the request")
			if first {
				p.response()
			}
		}
		for _, p := range all {
			p.Close()
		}
		for range all {
			r.wait(gone, "the engine's connections to end")
		}
		r.until("the aborts", func() bool { return r.aborted("before_first_byte")+r.aborted("streaming") == 64 })
		r.unblemished()
		e.answer = ok
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
}

// A client that takes nothing blocks our write, not our ears.
func TestSlowClientThatLeavesIsNoticed(t *testing.T) {
	gone := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w)
		block := make([]byte, 64<<10)
		for {
			if _, err := w.Write(block); err != nil {
				close(gone)
				return
			}
		}
	})
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(askStream)
	p.response()
	r.until("our write to block", func() bool {
		all := r.g.calls.late(1<<62, nil)
		return len(all) == 1 && all[0].c.doing.Load() == doingWrite
	})
	p.Close()
	r.wait(gone, "the engine's connection to end")
	r.until("the abort", func() bool { return r.aborted("streaming") == 1 })
}

func TestClientThatLeavesInTheMiddleOfItsBody(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), nil)
	n := 0.0
	for _, begin := range []string{sized(100_000)[:50_000], chunkedHead + "5\r\n{", chunkedHead} {
		for _, leave := range departures {
			p := r.dial()
			p.send("%s", begin)
			r.until("the request", func() bool { return r.metric("penstock_gateway_requests") == 1 })
			leave(p.Conn)
			n++
			r.until("the departure to be counted", func() bool {
				return r.metric(`penstock_requests_total{route="/v1/completions",code="499",key=""}`) == n
			})
			r.until("its end", func() bool { return r.metric("penstock_gateway_requests") == 0 })
		}
	}
	if k := asked.Load(); k != 0 {
		t.Errorf("the engine had %d of %v halves of a request", k, n)
	}
	for _, when := range abortNames {
		if k := r.aborted(when); k != 0 {
			t.Errorf("%v aborts %s of requests that no engine had", k, when)
		}
	}
	r.until("nothing to be held", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
}
