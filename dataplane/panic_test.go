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
