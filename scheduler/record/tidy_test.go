package record

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// hostile is a decision of which everything that can be odd is.
func hostile(r *Ring) uint64 {
	const odd = "a\x1b[2J\x00\u202e\xff\u2028b"
	e := r.Begin("id\x07", odd, 1)
	e.Verdict, e.Instance, e.Policy, e.Reason, e.Degraded = Picked, odd, odd, odd, odd
	e.Prompt, e.Blocks, e.BlockTokens, e.Max, e.Expected, e.Priority = math.MinInt32, math.MaxInt32, math.MinInt32, math.MinInt32, math.MinInt32, math.MinInt32
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	e.Pending, e.TTFT, e.Time = nan, inf, time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range MostCandidates {
		*e.Add() = Candidate{
			Instance: odd + strings.Repeat("<", 128), TTFT: nan, Cost: inf, Wait: nan, Short: inf, Token: nan, KVUsage: inf,
			Fresh: math.MinInt32, Hits: -1, Cached: -1, Ahead: math.MinInt32, Backlog: -1, Compute: -1, Keep: -1, Tokens: -1,
			KVTokens: -1, InFlight: -1, Streams: -1, Foreign: -1, Waiting: -1, Ages: Ages{-1, -1, -1, -1, -1},
		}
	}
	return r.Put(e)
}

func TestNobodyMakesARecordingUnreadable(t *testing.T) {
	r := NewRing(16, []string{"", "team\x1b"}, true)
	rec, path := recorder(t, r, 0)
	hostile(r)
	put(r, "after", 2)
	rec.pass(time.Now(), true)
	rec.end()
	all, err := read(t, path)
	if err != nil || len(all) != 2 {
		t.Fatalf("%d of 2 decisions, %v", len(all), err)
	}
	if d := all[0]; d.Model != "a?[2J????b" || d.Candidates[0].Instance[:10] != d.Instance || d.Key != "team?" || d.RequestID != "id?" || d.Prompt != 0 || !d.Time.IsZero() {
		t.Errorf("%+v", d)
	}
}

// What a file says may go to a terminal, and is written again as JSON.
func TestAForeignFileIsToldWithoutItsControls(t *testing.T) {
	f := func(line, model, at string) {
		t.Helper()
		in, err := NewReader(strings.NewReader(`{"format":"penstock decisions","version":1}` + "\n" + line))
		if err != nil {
			t.Fatal(err)
		}
		d, err := in.Next()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if _, err := json.Marshal(d); err != nil || d.Model != model || d.Time.Format(time.RFC3339Nano) != at {
			t.Errorf("%s: %q at %v, %v", line, d.Model, d.Time, err)
		}
	}
	const none = "0001-01-01T00:00:00Z"
	f(`{"model":"a\u001b[2J\u009b\u2028"}`, "a?[2J??", none)
	f(`{"time":"9999-12-31T23:59:59.9999999Z"}`, "", "9999-12-31T23:59:59.999999Z")
	f(`{"time":"9999-12-31T23:59:59-23:00"}`, "", none)
	f(`{"time":"0000-01-01T00:00:00+23:00"}`, "", none)
}
