package dataplane

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"penstock/scheduler"
)

// broken is a fault of the router's own.
type broken struct{}

func (broken) move(*attempt, sink) outcome { panic("a fault") }

func TestFaultInsideIsAnAnswerAndNotAClosedConnection(t *testing.T) {
	var log bytes.Buffer // read once all has ended
	e := newEngine(t, ok)
	r := start(t, instances(e.url), nil, func(g *Gateway, _ *scheduler.Scheduler) {
		g.mover, g.log = broken{}, slog.New(slog.NewTextHandler(&log, nil))
	})
	p := r.dial()
	p.post(`{"model":"m"}`)
	resp, body := p.whole()
	expect(t, resp, body, 500, "internal")
	if !resp.Close {
		t.Error("the connection lives on, with who knows what in it")
	}
	r.until("the error to be counted", func() bool { return r.metric(`penstock_request_errors_total{reason="internal"}`) == 1 })
	r.until("the instance is free again", func() bool { return r.sched.Instances()[0].Status().InFlight == 0 })
	r.stop()
	r.wait(r.ended, "the end of the gateway")
	if text := log.String(); !strings.Contains(text, "a fault") {
		t.Errorf("the log does not say what failed: %s", text)
	}
}

// One request's fault in a decision that the holder makes is not the end of the
// others that wait.
func TestFaultInTheLineIsOneRequestsAlone(t *testing.T) {
	var log bytes.Buffer // read once all has ended
	e, came, release := gated(t)
	r := start(t, one(instances(e.url)), func(_ *Config, s *scheduler.Config) { s.Policy = "prefix-cache" }, func(g *Gateway, s *scheduler.Scheduler) {
		g.holder.log = slog.New(slog.NewTextHandler(&log, nil))
		s.Oracle(func(_ *scheduler.Instance, q *scheduler.Query) int {
			if q.Held != 0 && q.Key == 0 && q.Session != 0 {
				panic("a fault")
			}
			return 0
		})
	})
	first, faulty, last := r.dial(), r.dial(), r.dial()
	text := `{"model":"m","prompt":"` + strings.Repeat("word ", 1000) + `"}`
	first.post(text)
	<-came
	faulty.post(text, "X-Session-Id: it")
	resp, body := faulty.whole()
	expect(t, resp, body, 500, "internal")
	last.post(text)
	close(release)
	for _, p := range []*peer{first, last} {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
	r.stop()
	r.wait(r.ended, "the end of the gateway")
	if text := log.String(); !strings.Contains(text, "a fault") {
		t.Errorf("the log does not say what failed: %s", text)
	}
}
