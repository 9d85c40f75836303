package dataplane

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/record"
)

// remembering is a gateway whose decisions are kept.
func remembering(t *testing.T, list []scheduler.InstanceConfig, change func(*Config, *scheduler.Config)) (*rig, *record.Ring) {
	ring := record.NewRing(record.Slots, []string{""}, false)
	return start(t, list, change, func(_ *Gateway, s *scheduler.Scheduler) { s.Record(ring) }), ring
}

// entriesOf are the entries of a request, oldest first, once its answer was read.
func entriesOf(ring *record.Ring, id string) (verdicts []string, last record.Decision) {
	all := ring.Of(id)
	for n := range all {
		verdicts = append(verdicts, all[len(all)-1-n].Verdict)
	}
	if len(all) > 0 {
		last = all[0]
	}
	return verdicts, last
}

func TestARefusalAfterItWasAskedForLeavesARecord(t *testing.T) {
	f := func(name string, change func(*Config, *scheduler.Config), status int, code string, unheld bool, pending float32) {
		t.Run(name, func(t *testing.T) {
			e, came, release := gated(t)
			defer close(release)
			r, ring := remembering(t, one(instances(e.url)), change)
			r.dial().post(ask)
			<-came
			p := r.dial()
			p.post(numbered(1), "X-Request-Id: it")
			resp, body := p.whole()
			expect(t, resp, body, status, code)
			verdicts, d := entriesOf(ring, "it")
			if len(verdicts) != 2 || verdicts[0] != record.Full || verdicts[1] != record.Refused || ring.Of("it")[1].Unheld != unheld {
				t.Fatalf("%v: %+v", verdicts, d)
			}
			if d.Code != code || int(d.Status) != status || d.Model != "m" || d.Pending < pending || unheld && d.Pending != 0 {
				t.Errorf("%+v", d)
			}
		})
	}
	f("no line", func(c *Config, _ *scheduler.Config) { c.Queue.MaxSize = 0 }, 429, "queue_full", true, 0)
	f("in line for too long", func(c *Config, _ *scheduler.Config) { c.Queue.Timeout = 20 * time.Millisecond }, 429, "queue_timeout", false, 15)
}

func TestARefusalAfterTriesLeavesARecord(t *testing.T) {
	r, ring := remembering(t, instances(deadURL(t)), nil)
	p := r.dial()
	p.post(ask, "X-Request-Id: it")
	resp, _ := p.whole()
	verdicts, d := entriesOf(ring, "it")
	if len(verdicts) == 0 || d.Verdict != record.Refused || int(d.Status) != resp.StatusCode || d.Code != resp.Header.Get("X-Penstock-Error") {
		t.Errorf("%d: %v %+v", resp.StatusCode, verdicts, d)
	}
}

// Nobody was asked, or an engine answered: there is nothing to tell.
func TestWhatIsNoRefusalOfADecisionLeavesNone(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(400) })
	r, ring := remembering(t, instances(e.url), nil)
	p := r.dial()
	for body, want := range map[string]int{"{": 0, ask: 1} {
		id := strconv.Itoa(len(body))
		p.post(body, "X-Request-Id: "+id)
		if resp, _ := p.whole(); resp.StatusCode != 400 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		if verdicts, d := entriesOf(ring, id); len(verdicts) > want || d.Verdict == record.Refused {
			t.Errorf("%q: %v %+v", body, verdicts, d)
		}
	}
}
