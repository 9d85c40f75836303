package load

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReportJSON(t *testing.T) {
	r := &run{ctx: t.Context(), cfg: DefaultConfig(), record: newRecord(&Config{})}
	b, err := json.Marshal(r.result())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	f := func(m map[string]any, want ...string) {
		t.Helper()
		if keys := slices.Sorted(maps.Keys(m)); !slices.Equal(keys, want) {
			t.Errorf("got %v, want %v", keys, want)
		}
	}
	f(got, "completed", "duration_s", "e2e_ms", "errors", "goodput_rps", "input_tokens", "instances", "itl_ms",
		"output_tokens", "output_tokens_per_s", "rejected", "request_rate", "requests", "tpot_ms", "ttft_ms")
	for _, key := range []string{"ttft_ms", "tpot_ms", "itl_ms", "e2e_ms"} {
		f(got[key].(map[string]any), "max", "mean", "min", "p50", "p90", "p95", "p99")
	}
	for _, key := range []string{"errors", "instances"} {
		if m, ok := got[key].(map[string]any); !ok || len(m) != 0 {
			t.Errorf("%s is %v, want {}", key, got[key])
		}
	}
}

const ms = time.Millisecond

// streamed is a completed stream of ten tokens.
func streamed(ttft, tpot time.Duration) *sample {
	return &sample{sent: 5 * ms, first: 5*ms + ttft, last: 5*ms + ttft + 9*tpot, ended: 6*ms + ttft + 9*tpot, pieces: 10, outputTokens: 10}
}

func TestGoodput(t *testing.T) {
	f := func(s *sample, ttft, itl time.Duration, want bool) {
		t.Helper()
		if got := s.good(ttft, itl); got != want {
			t.Errorf("%+v within %v and %v: got %v, want %v", s, ttft, itl, got, want)
		}
	}
	f(streamed(100*ms, 20*ms), 100*ms, 20*ms, true)
	f(streamed(101*ms, 20*ms), 100*ms, 20*ms, false)
	f(streamed(100*ms, 21*ms), 100*ms, 20*ms, false)
	f(streamed(time.Hour, 20*ms), 0, 20*ms, true)
	f(streamed(100*ms, time.Hour), 100*ms, 0, true)
	failed := streamed(1*ms, 1*ms)
	failed.fail(classTruncated, "")
	f(failed, 0, 0, false)
	f(&sample{rejected: true}, 0, 0, false)
	f(&sample{first: 50 * ms, last: 50 * ms, ended: 50 * ms, pieces: 1}, 100*ms, 20*ms, true)

	rec := newRecord(&Config{SLOTTFT: 100 * ms, SLOITL: 20 * ms})
	for _, s := range []*sample{streamed(90*ms, 10*ms), streamed(200*ms, 10*ms), streamed(90*ms, 30*ms), failed} {
		rec.add(s)
	}
	rec.last = 2 * time.Second
	r := (&run{ctx: t.Context(), cfg: Config{Requests: 4}, record: rec}).result()
	if r.Good != 1 || r.GoodputRPS != 0.5 || r.Completed != 3 || r.RequestRate != 2 || r.OutputTokensPerS != 15 {
		t.Errorf("got %+v, want one good request in two seconds", r)
	}
}

func TestSampleTimes(t *testing.T) {
	s := streamed(100*ms, 20*ms)
	f := func(name string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	f("ttft", s.ttft(), 100*ms)
	f("e2e", s.e2e(), 281*ms)
	tpot, _ := s.tpot()
	f("tpot", tpot, 20*ms)
	s.outputTokens = 19 // two in each event
	tpot, _ = s.tpot()
	f("tpot of two tokens an event", tpot, 10*ms)
	if _, ok := (&sample{pieces: 1, outputTokens: 50}).tpot(); ok {
		t.Error("an answer that came at once has a tpot")
	}
	var o sample
	o.output(3 * ms)
	gap, ok := o.output(7 * ms)
	if !ok || gap != 4*ms || o.first != 3*ms || o.last != 7*ms {
		t.Errorf("got a gap of %v, %v, and %+v", gap, ok, o)
	}
}

func TestLatency(t *testing.T) {
	l := newLatencies()
	if got := l.latency(); got != (Latency{}) {
		t.Errorf("got %+v of nothing, want zeros", got)
	}
	for i := 1; i <= 1000; i++ {
		l.add(time.Duration(i) * ms)
	}
	f := func(name string, got, want float64) {
		t.Helper()
		if got < want*0.998 || got > want*1.002 {
			t.Errorf("%s: got %v, want %v within 0.2 %%", name, got, want)
		}
	}
	got := l.latency()
	f("mean", got.Mean, 500.5)
	f("p50", got.P50, 500)
	f("p90", got.P90, 900)
	f("p95", got.P95, 950)
	f("p99", got.P99, 990)
	if got.Min != 1 || got.Max != 1000 {
		t.Errorf("got %v to %v, want 1 to 1000", got.Min, got.Max)
	}
	l.add(-ms)
	l.add(2 * time.Hour)
	if got := l.latency(); got.Min != 0 || got.Max != 3_600_000 {
		t.Errorf("got %v to %v, want bounds of 0 and an hour", got.Min, got.Max)
	}
}

func TestInstancesAreBounded(t *testing.T) {
	rec := newRecord(&Config{})
	for i := range maxInstances + 10 {
		rec.add(&sample{instance: strings.Repeat("x", i+1)})
	}
	rec.add(&sample{instance: "x"})
	if len(rec.instances) != maxInstances || rec.instances["x"] != 2 {
		t.Errorf("%d instances, want %d, and %d of the first, want 2", len(rec.instances), maxInstances, rec.instances["x"])
	}
}

func TestText(t *testing.T) {
	rec := newRecord(&Config{SLOTTFT: 2 * time.Second})
	rec.add(streamed(100*ms, 20*ms))
	bad := streamed(1*ms, 1*ms)
	bad.fail("503", "none is there")
	rec.add(bad)
	rec.add(&sample{rejected: true, instance: "gpu-1"})
	r := (&run{ctx: t.Context(), cfg: Config{Requests: 3, Model: "m", SLOTTFT: 2 * time.Second}, record: rec}).result()
	got := text(t, r)
	for _, want := range []string{"completed    1 (33.3 %)", "rejected     1 (33.3 %)", "503                1  none is there", "TTFT ≤ 2s and any ITL", "TTFT       100.00", "gpu-1"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestInstanceOf(t *testing.T) {
	f := func(header, want string) {
		t.Helper()
		if got := instanceOf([]byte(header)); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
	f("instance=127.0.0.1:9100; policy=p2c; reason=x", "127.0.0.1:9100")
	f("policy=p2c;instance=a", "a")
	f("policy=p2c; my_instance=a", "")
	f("", "")
}
