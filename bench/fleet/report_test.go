package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"penstock/bench/workload"
)

func sweepOf(t *testing.T) *Sweep {
	return &Sweep{
		Config:   configOf(t, "w12", 1, func(c *Config) { c.Params = workload.Params{Seed: 1, Duration: 30 * time.Second} }),
		Policies: []string{"least-token", "round-robin"}, Rates: []float64{4, 20},
	}
}

func TestSweep(t *testing.T) {
	told := 0.0
	r, err := sweepOf(t).Run(context.Background(), func(done float64) { told = max(told, done) })
	if err != nil || told != 1 {
		t.Fatalf("%v, told of %v", err, told)
	}
	if len(r.Rows) != 4 || r.Rows[0].Requests != r.Rows[1].Requests || r.Rows[2].Policy != "least-token" || r.Rows[3].Rate != 20 {
		t.Errorf("rows %+v", r.Rows)
	}
	if low, high := r.Rows[0], r.Rows[2]; low.GoodShare() < 0.99 || high.TTFT.P99 < low.TTFT.P99 {
		t.Errorf("%+v at a low rate, %+v at a high", low, high)
	}
	again := sweepOf(t)
	again.Jobs = 1
	if s, err := again.Run(context.Background(), nil); err != nil || s.Rows[3].TTFT != r.Rows[3].TTFT {
		t.Errorf("one run at a time gives something else: %v", err)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text, 0); err != nil || !strings.Contains(text.String(), "round-robin") || strings.Count(text.String(), "\n") != 12 {
		t.Errorf("%v\n%s", err, text.String())
	}
	b, _ := json.Marshal(r)
	for _, key := range []string{`"workload":"w12"`, `"instances":5`, `"profile":"7b-a10"`, `"slo":{`, `"goodput_rps":`, `"prefix_hit_rate":`, `"imbalance":`, `"p99":`, `"arrivals_s":`, `"settings":{"rates":[4,20],"duration_s":30,`, `"fail":[]`, `"shed":false`} {
		if !bytes.Contains(b, []byte(key)) {
			t.Errorf("the JSON lacks %s", key)
		}
	}
	page, err := Page([]*Report{r, r}, "a test")
	if err != nil || bytes.Count(page, []byte("<svg")) != 2*len(curves) || bytes.Contains(page, []byte("<?xml")) || bytes.Contains(page, []byte("src=")) {
		t.Errorf("a page of %d bytes: %v", len(page), err)
	}
}

func TestWhatIsWrong(t *testing.T) {
	f := func(want string, change func(*Sweep)) {
		t.Helper()
		s := sweepOf(t)
		change(s)
		if _, err := s.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(`policies: "best" is none of`, func(s *Sweep) { s.Policies = []string{"best"} })
	f("rates: -1 is out of range", func(s *Sweep) { s.Rates = []float64{-1} })
	f("rates: 1e-09 is out of range, need 0.001 to 1000000", func(s *Sweep) { s.Rates = []float64{1, 1e-9} })
	f("gateways: 0 is out of range", func(s *Sweep) { s.Gateways = 0 })
	f("scrape: 0s is out of range", func(s *Sweep) { s.ScrapeEvery = 0 })
	f("scrape-cost: 60ms is out of range", func(s *Sweep) { s.ScrapeCost = 60 * time.Millisecond })
	f("workload: none given", func(s *Sweep) { s.Workload = nil })
	f("duration: one has a number of requests, or stages, of its own, and no time to end at: the flag is for w1, w12,", func(s *Sweep) { s.Workload = named(t, "one") })
	f("duration: w1-ladder has", func(s *Sweep) { s.Workload = named(t, "w1-ladder") })
}

func TestRowCountsWhatCame(t *testing.T) {
	cfg := configOf(t, "w12", 1)
	ms := time.Millisecond
	res := &Result{End: 10 * time.Second, Busy: []time.Duration{time.Second, 3 * time.Second}, Samples: []Sample{
		{Arrived: 0, Warm: true, TTFT: time.Hour},
		{Arrived: time.Second, TTFT: 100 * ms, TPOT: 50 * ms, Output: 10, Prompt: 100, Cached: 50},
		{Arrived: 2 * time.Second, TTFT: 3000 * ms, TPOT: 50 * ms, Output: 10, Prompt: 100},
		{Arrived: 3 * time.Second, TTFT: 100 * ms, TPOT: 150 * ms, Output: 10, Prompt: 200},
		{Arrived: 4 * time.Second, Outcome: Rejected},
		{Arrived: 5 * time.Second, Outcome: Failed},
	}}
	row := res.Row(&cfg)
	if row.Requests != 5 || row.Completed != 3 || row.Rejected != 1 || row.Failed != 1 {
		t.Errorf("counted %+v", row)
	}
	if row.GoodputRPS != 0.25 || row.PatientGoodputRPS != 0.5 || row.GoodShare() != 0.2 || row.PrefixHitRate != 0.125 || row.Imbalance != 1.5 || row.Utilization != 0.2 {
		t.Errorf("got %+v", row)
	}
	if row.TTFT.P50 != 100 || row.TTFT.P99 != 3000 || row.OutputTokensPerS != 3.3 {
		t.Errorf("got %+v", row.TTFT)
	}
}

func TestFairness(t *testing.T) {
	f := newFairness(2)
	comes := func(key int) *call {
		c := &call{Request: &workload.Request{Key: key, Tokens: 10}}
		f.arrive(c)
		return c
	}
	want := func(worst, first, second float64) {
		t.Helper()
		if list, got := f.result(); got != worst || list[0].Tokens != first || list[1].Tokens != second {
			t.Errorf("%v, difference %v, want %v and %v, at worst %v", list, got, first, second, worst)
		}
	}
	a1, a2, b1, b2 := comes(0), comes(0), comes(1), comes(1)
	f.token(a1, 1)
	f.token(a1, 2)
	want(14, 14, 0)
	f.token(b1, 1) // from 14 to 2
	want(14, 14, 12)
	f.token(b1, 1) // again, after its engine died: b2 waits all the same
	want(24, 14, 24)
	f.token(a2, 1) // a waits no more: what follows is no difference
	want(24, 26, 24)
	f.token(a1, 3)
	f.leave(b2)
	f.leave(b2)
	want(24, 28, 24)
	comes(0)
	f.token(b1, 2)
	b3 := comes(1) // another time, in which both wait, begins
	f.token(b3, 1)
	want(24, 28, 38)
}
