package scheduler

import (
	"strings"
	"testing"

	"penstock/scheduler/telemetry"
)

func TestMetricsSayWhatInstancesDo(t *testing.T) {
	s := fleetOf(t, 2, "least-token")
	s.Instances()[0].says(3, 1)
	s.Instances()[1].Failed(Unreachable, "")
	s.Instances()[1].Failed(Timeout, "")
	s.ObserveDecision(700)
	var w telemetry.Writer
	s.Collect(&w)
	page := string(w.Bytes())
	for _, line := range []string{
		`penstock_instance_running{instance="a",model="m"} 3`,
		`penstock_instance_waiting{instance="a",model="m"} 1`,
		`penstock_instance_kv_usage_ratio{instance="a",model="m"} 0.1`,
		`penstock_instance_up{instance="a",model="m"} 1`,
		`penstock_instance_up{instance="b",model="m"} 0`,
		`penstock_instance_state{instance="b",state="ejected"} 1`,
		`penstock_instance_state{instance="b",state="healthy"} 0`,
		`penstock_instance_failures_total{instance="b",reason="timeout"} 2`,
		`penstock_instance_ejections_total{instance="b",reason="timeout"} 1`,
		`penstock_signal_alive{instance="a",signal="waiting"} 1`,
		`penstock_signal_alive{instance="b",signal="waiting"} 0`,
		`penstock_signal_dead{instance="b",signal="waiting",why="not heard yet"} 1`,
		`penstock_decision_seconds_bucket{le="1e-06"} 1`,
	} {
		if !strings.Contains(page, line+"\n") {
			t.Errorf("the page lacks %s", line)
		}
	}
	for _, series := range []string{`penstock_instance_running{instance="b"`, `penstock_instance_waiting{instance="b"`,
		`penstock_instance_kv_usage_ratio{instance="b"`, `penstock_signal_dead{instance="a",signal="waiting"`} {
		if strings.Contains(page, series) {
			t.Errorf("%s is not known, and has a value", series)
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(page) {
		series, _, _ := strings.Cut(line, " ")
		if series != "#" && seen[series] {
			t.Errorf("%s stands twice", series)
		}
		seen[series] = true
	}
}
