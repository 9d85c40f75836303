package fleet

import (
	"slices"
	"testing"
	"time"
)

// Of an engine that dies, who has had no token goes elsewhere, and who is in the
// middle of an answer fails; nobody is lost.
func TestEngineDies(t *testing.T) {
	change := func(c *Config) {
		c.Gateways, c.Params.Duration = 2, time.Minute
		c.Failures = []Failure{{20 * time.Second, 2, 15 * time.Second}, {25 * time.Second, 2, time.Second}, {58 * time.Second, 0, time.Second}}
	}
	cfg := configOf(t, "w12", 10, change)
	whole, res := do(t, configOf(t, "w12", 10, change, func(c *Config) { c.Failures = nil })), do(t, cfg)
	if len(res.Samples) != len(whole.Samples) {
		t.Fatalf("%d requests ended, want %d", len(res.Samples), len(whole.Samples))
	}
	failed := 0
	for _, s := range res.Samples {
		end := s.Arrived + s.E2E
		if s.Outcome == Failed {
			failed++
			if s.Instance != 2 && s.Instance != 0 {
				t.Errorf("a request of instance %d failed", s.Instance)
			}
		} else if s.Instance == 2 && end > 20*time.Second+time.Millisecond && end < 35*time.Second {
			t.Errorf("a dead engine answered at %v", end)
		}
	}
	if failed == 0 || failed > 60 {
		t.Errorf("%d failed, want those in the middle of an answer", failed)
	}
	if !slices.ContainsFunc(res.Samples, func(s Sample) bool { return s.Instance == 2 && s.Arrived > 36*time.Second && s.Outcome == Completed }) {
		t.Error("the engine has come back, and gets nothing")
	}
	if again := do(t, cfg); !slices.Equal(again.Samples, res.Samples) {
		t.Error("another run of the same failures differs")
	}
}

func TestAllEnginesDie(t *testing.T) {
	cfg := configOf(t, "w12", 5, func(c *Config) {
		c.Instances, c.Params.Duration = 1, 20*time.Second
		c.Failures = []Failure{{5 * time.Second, 0, time.Hour}}
	})
	res := do(t, cfg)
	row := res.Row(&cfg)
	if row.Completed == 0 || row.Failed < row.Requests/2 || row.Completed+row.Failed != row.Requests {
		t.Errorf("%d requests, %d completed, %d failed", row.Requests, row.Completed, row.Failed)
	}
}

func TestParseFailure(t *testing.T) {
	want := Failure{time.Minute, 2, 30 * time.Second}
	if f, err := ParseFailure("60s:2:30s"); err != nil || f != want || f.String() != "1m0s:2:30s" {
		t.Errorf("got %v, %v", f, err)
	}
	for _, text := range []string{"", "60s", "60:2:30s", "60s:x:30s", "60s:2:30", "60s:2:30s:1"} {
		if _, err := ParseFailure(text); err == nil {
			t.Errorf("%q: taken", text)
		}
	}
}
