package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"penstock/scheduler/record"
)

// explained runs c against the router of a URL.
func explained(c explainCmd, url string) (string, error) {
	var out strings.Builder
	err := c.explain(context.Background(), &adminAPI{base: url, most: listMost}, &out)
	return out.String(), err
}

func TestARequestIsExplained(t *testing.T) {
	r := registering(t, "instances: [{url: '"+strings.Join(engines(t, 2), "', name: gpu-1}, {url: '")+"', name: gpu-2}]")
	if _, err := explained(explainCmd{Last: 3}, r.adminURL()); err == nil || err.Error() != "the router has decided nothing yet" {
		t.Errorf("before any: %v", err)
	}
	for _, id := range []string{"hello-1", "hello-2"} {
		req, err := http.NewRequest("POST", r.urls()[0]+"/v1/completions", strings.NewReader(`{"model":"m","prompt":"a b c d e","max_tokens":4,"stream":true}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Request-Id", id)
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
	}
	out, err := explained(explainCmd{RequestID: "hello-1"}, r.adminURL())
	for _, want := range []string{
		`^request hello-1: model "m", \d+ prompt tokens, at most 4 more, about 4 expected; no key\n`,
		`, try 1: gpu-[12] got it \(predictive: `, `The first token was predicted after .* ms, and came after .* ms \(`,
		`The next best, gpu-[12], would have cost `, `\n +> +gpu-[12] +\d`, `\n +gpu-[12] +\d`,
	} {
		if err != nil || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%v: lacks %s:\n%s", err, want, out)
		}
	}
	out, err = explained(explainCmd{Last: 5}, r.adminURL())
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) != 3 || !strings.Contains(lines[1], " hello-1 ") || !strings.Contains(lines[2], " hello-2 ") {
		t.Errorf("%v:\n%s", err, out)
	}
	_, err = explained(explainCmd{RequestID: "nobody"}, r.adminURL())
	if err == nil || !strings.HasPrefix(err.Error(), `no decision of a request "nobody": the router remembers its last 2, back to `) {
		t.Errorf("got %v", err)
	}
	_, err = explained(explainCmd{RequestID: "hello-1"}, r.urls()[0])
	if err == nil || !strings.Contains(err.Error(), "is no admin port") {
		t.Errorf("of the data port: %v", err)
	}
}

func TestWhatExplainRefuses(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if status, _, errs := command(append([]string{"explain"}, args...)...); status != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
	f("explain what? Give a request's id")
	f("explain what?", "id", "--last", "3")
	f("--last: 1001 is out of range: 1 to 1000", "--last", "1001")
	f(`--admin: "nowhere": need a URL`, "id", "--admin", "nowhere")
}

func TestAnAccountSaysWhatBecame(t *testing.T) {
	at := time.Now()
	one := record.Candidate{Instance: "a", Cost: 100, TTFT: 50, Ages: record.Ages{-1, 20, -1, -1, -1}}
	two := record.Candidate{Instance: "b", Cost: 130, TTFT: 60}
	f := func(d record.Decision, wants ...string) {
		t.Helper()
		var b strings.Builder
		d.Time, d.Try = at, max(d.Try, 1)
		tellRequest(&b, []record.Decision{d}, at)
		for _, want := range wants {
			if !strings.Contains(b.String(), want) {
				t.Errorf("lacks %q:\n%s", want, b.String())
			}
		}
	}
	f(record.Decision{Verdict: record.Picked, Instance: "a", Degraded: "running,waiting", Pending: 1234, TTFT: 100, Actual: 150, Stream: true, Try: 2, Full: 1, Candidates: []record.Candidate{one, two}, Considered: 5},
		"try 2: a got it", "had been held for 1234 ms", "without running, waiting of a, which is not believed", "came after 150 ms (50 % later)", "b, would have cost 30 ms more",
		"Not considered: 1 that had it before, 1 that took nothing more.", "and 3 more")
	f(record.Decision{Verdict: record.Picked, Instance: "b", Degraded: "prediction", TTFT: 100, Unanswered: true, Candidates: []record.Candidate{one, two}},
		"fewest tokens counted", "none came: the try failed", "a would have cost 30 ms less, by the predictions")
	f(record.Decision{Verdict: record.Picked, Instance: "b", TTFT: 100, Actual: 50000, Max: -1, Model: "x\x1b"}, `model "x\x1b"`, "in one piece after 50.0 s", "more expected, in one piece")
	f(record.Decision{Verdict: record.Full, Instance: "b", Policy: "p", Reason: "r"}, "held: it is better than to give it away now; b would be the choice (p: r)")
	f(record.Decision{Verdict: record.NoInstance}, "no instance that could have it was alive")
	f(record.Decision{Verdict: record.NoModel}, "no instance serves the model")
	f(record.Decision{Verdict: record.Hopeless, TTFT: 9000}, "refused: the first token would have come after 9000 ms at the soonest")
}

// Clients choose ids: two may choose the same.
func TestRequestsThatShareAnIDAreToldApart(t *testing.T) {
	f := func(name string, others int, all ...record.Decision) {
		t.Helper()
		var b strings.Builder
		for n := range all {
			all[n].RequestID = "id"
		}
		tellRequest(&b, all, time.Now())
		if got := strings.Count(b.String(), "\nanother request with the same id: model "); got != others || strings.Count(b.String(), "request id: ") != 1 {
			t.Errorf("%s: %d others, want %d:\n%s", name, got, others, b.String())
		}
	}
	try := func(n int32, verdict string) record.Decision { return record.Decision{Try: n, Verdict: verdict} }
	picked, held := try(1, record.Picked), try(1, record.Full)
	f("one", 0, picked)
	f("held", 0, held, picked)
	f("tried again", 0, picked, try(2, record.Full), try(2, record.Picked), try(3, record.NoInstance))
	f("tried anew", 1, picked, picked)
	f("tried anew after a second try", 1, picked, try(2, record.Picked), picked)
	f("both held", 1, held, held)
	f("of another model", 2, held, record.Decision{Try: 1, Verdict: record.Picked, Model: "m"}, picked)
	f("of another key", 1, held, record.Decision{Try: 1, Verdict: record.Picked, Key: "ann"})
}

func TestWhatReplayRefuses(t *testing.T) {
	none, wrong := filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrong, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(status int, want string, args ...string) {
		t.Helper()
		if got, _, errs := command(append([]string{"replay"}, args...)...); got != status || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, got, errs)
		}
	}
	f(exitUsage, "which recording? penstock serve --record FILE makes one")
	f(exitUsage, `--policy: "best" is none of predictive, `, wrong, "--policy", "best")
	f(exitUsage, "no such file", none)
	f(exitFailed, "wrong: it is no recording of penstock serve --record", wrong)
}
