package replay

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"penstock/scheduler/record"
)

// recording is these decisions as a file has them, uncompressed.
func recording(t testing.TB, all ...record.Decision) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`{"format":"penstock decisions","version":1}` + "\n")
	for n := range all {
		line, err := json.Marshal(all[n])
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// between is a decision for an instance, each of which costs so many ms.
func between(chosen string, costs ...float32) record.Decision {
	d := record.Decision{Verdict: record.Picked, Instance: chosen, Stream: true, TTFT: 100, Actual: 200, Time: time.Unix(1000, 0), Prompt: 100}
	for n, c := range costs {
		d.Candidates = append(d.Candidates, record.Candidate{
			Instance: string(rune('a' + n)), Cost: c, TTFT: c / 2, Tokens: int32(100 - n), Ready: true,
		})
	}
	return d
}

func TestPoliciesAreComparedWithWhatWasDone(t *testing.T) {
	blind := between("a", 0, 0)
	held := between("a", 10, 20)
	held.Verdict = record.Full
	waits := between("b", 30, 40)
	waits.Candidates[0].Ready, waits.Candidates[0].Full = false, true
	r, err := Run(strings.NewReader(recording(t, between("a", 10, 20), between("b", 10, 40), between("a", 5), blind, held, waits)), []string{"predictive", "least-token"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Decisions != 6 || r.Verdicts["picked"] != 5 || r.Verdicts["full"] != 1 || r.Single != 1 {
		t.Errorf("%+v", r)
	}
	was, ours, tokens := r.Rows[0], r.Rows[1], r.Rows[2]
	if was.Decisions != 4 || was.Agreed != 4 || was.Regret.N != 3 || was.Regret.Mean != 13.333 || was.Regret.P99 < 30 {
		t.Errorf("what was done: %+v", was)
	}
	if ours.Decisions != 3 || ours.Skipped != 1 || ours.Agreed != 1 || ours.Held != 1 || ours.Regret.Mean != 0 || ours.Instances["a"] != 3 {
		t.Errorf("predictive: %+v", ours)
	}
	if tokens.Decisions != 4 || tokens.Held != 0 || tokens.Instances["b"] != 4 || tokens.Regret.Mean != 16.667 {
		t.Errorf("least-token: %+v", tokens)
	}
	if s := r.Seen; s.Requests != 5 || s.Ratio != 2 || s.Actual.P50 < 199 || s.Actual.P50 > 201 {
		t.Errorf("seen: %+v", s)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"6 decisions in 0s", "picked 5, full 1; 1 had one candidate", "predictive: 1 decisions without predictions", "least-token  b 4", "off by a factor of 2.00"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
}

func TestAnEmptyRecordingIsNoError(t *testing.T) {
	r, err := Run(strings.NewReader(recording(t)), []string{"p2c"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil || !strings.HasPrefix(b.String(), "0 decisions\n") {
		t.Errorf("%v: %s", err, b.String())
	}
}

// Whenever a file says that it was, and in whatever letters, there is a report.
func TestARecordingOfAnyTimeIsReportedAsJSON(t *testing.T) {
	f := func(at string) {
		t.Helper()
		line := `{"verdict":"picked","instance":"a","model":"\u001b[2J","time":"` + at + `","candidates":[{"instance":"a"},{"instance":"b"}]}` + "\n"
		r, err := Run(strings.NewReader(recording(t)+line), []string{"p2c"})
		if err != nil || r.Decisions != 1 {
			t.Fatalf("%s: %+v, %v", at, r, err)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
	f("9999-12-31T23:59:59.9999999Z")
	f("9999-12-31T23:59:59-23:59")
	f("0000-01-01T00:00:00+23:59")
	f("2026-01-01T00:00:00Z")
}

func TestWhatCannotBeReplayed(t *testing.T) {
	for _, c := range []struct{ text, policy, want string }{
		{recording(t), "best", `policy: "best" is none of predictive, `},
		{"hello", "p2c", "it is no recording"},
		{recording(t) + "{}\n{\n{}\n", "p2c", "line 3: "},
	} {
		if _, err := Run(strings.NewReader(c.text), []string{c.policy}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// FuzzRun: whatever a file says, every policy has an answer.
func FuzzRun(f *testing.F) {
	f.Add(recording(f, between("a", 10, 20)))
	d := between("b", 1, 2, 3)
	d.Blocks, d.BlockTokens, d.Session = 40, 16, 9
	d.Candidates[0].KVTokens, d.Candidates[1].Waiting, d.Candidates[2].Full = 1000, 5, true
	f.Add(recording(f, d))
	f.Add(recording(f) + `{"verdict":"picked","instance":"a","time":"9999-12-31T23:59:59.9999999Z","candidates":[{"instance":"a"},{"instance":"b"}]}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 64<<10 {
			return
		}
		r, err := Run(strings.NewReader(text), []string{"predictive", "llm-d", "llm-d-sticky", "prefix-cache", "chwbl", "higress", "dynamo"})
		if err != nil {
			return
		}
		if _, err := json.Marshal(r); err != nil {
			t.Error(err)
		}
		if err := r.WriteText(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}
