package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/fasthttp/websocket"

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
	for _, name := range []string{"gpu-1", "gpu-2"} {
		until(t, name, func() bool { i := r.sched.Named(name); return i != nil && i.State().String() == "healthy" })
	}
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
		`The next best, gpu-[12], would have cost |equal: by chance`, `\n +> +gpu-[12] +\d`, `\n +gpu-[12] +\d`,
	} {
		if err != nil || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("%v: lacks %s:\n%s", err, want, out)
		}
	}
	out, err = explained(explainCmd{Last: 5}, r.adminURL())
	if lines := strings.Split(strings.TrimSpace(out), "\n"); err != nil || len(lines) < 3 || !strings.Contains(lines[1], " hello-1 ") || !strings.Contains(lines[2], " hello-2 ") {
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

// A tunnel has no tokens: what it was, how long and how it ended is told in their place.
func TestAWebSocketThatPassesThroughIsExplained(t *testing.T) {
	r := registering(t, "websocket: {paths: [/v1/echo]}\ninstances: [{url: '"+engines(t, 1)[0]+"', name: gpu-1}]")
	until(t, "gpu-1", func() bool { i := r.sched.Named("gpu-1"); return i != nil && i.State().String() == "healthy" })
	ws, _, err := websocket.DefaultDialer.Dial(strings.Replace(r.urls()[0], "http", "ws", 1)+"/v1/echo?model=m", http.Header{"X-Request-Id": {"call-1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	told := func(wants ...string) {
		t.Helper()
		out, err := explained(explainCmd{RequestID: "call-1"}, r.adminURL())
		for _, want := range wants {
			if err != nil || !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("%v: lacks %s:\n%s", err, want, out)
			}
		}
	}
	const begins = `^request call-1: a WebSocket that passes through, model "m"; no key\n`
	told(begins, `try 1: gpu-1 got it`, `The WebSocket was opened after .* ms, and is open, for \ds so far\.`)
	for range 3 {
		if err := ws.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ws.ReadMessage(); err != nil {
			t.Fatal(err)
		}
	}
	ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "mine"), time.Now().Add(patience))
	until(t, "its end", func() bool { return r.sched.Named("gpu-1").Status().InFlight == 0 })
	until(t, "the word of it", func() bool {
		out, _ := explained(explainCmd{Last: 1}, r.adminURL())
		return strings.Contains(out, " WebSocket 4001")
	})
	told(begins, `opened after .* ms, and was open for .*; 3 messages from the client and 3 to it had passed\. It ended with the close code 4001\.\n`)
}

func TestHowAWebSocketEndedIsTold(t *testing.T) {
	f := func(want string, s record.Socket, later ...record.Decision) {
		t.Helper()
		d := record.Decision{Verdict: record.Picked, Instance: "a", Try: 1, Time: time.Now(), Socket: &s}
		if text := accountOf(0, append([]record.Decision{d}, later...)...); !strings.Contains(text, want) || strings.Contains(text, "token was") {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	f("opened after 3.0 ms, and was open for 2h46m40s; 1 message from the client and 0 to it had passed. It ended without a close (1006).\n", record.Socket{Opened: 3, Open: 1e7, In: 1, Code: 1006})
	f("It ended with the close code 1001, the router's own.\n", record.Socket{Opened: 3, Open: 10, Code: 1001, Own: true})
	f("the instance was lost before it had said anything.\n", record.Socket{Opened: 3}, record.Decision{Verdict: record.Picked, Try: 2})
}

// vLLM makes the id of a completion of the request's.
func TestTheIDOfACompletionIsUnderstood(t *testing.T) {
	r := registering(t, "instances: [{url: '"+engines(t, 1)[0]+"', name: gpu-1}]")
	until(t, "gpu-1", func() bool { i := r.sched.Named("gpu-1"); return i != nil && i.State().String() == "healthy" })
	resp, err := http.Post(r.urls()[0]+"/v1/chat/completions", "application/json", strings.NewReader(`{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":1}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct{ ID string }
	if json.NewDecoder(resp.Body).Decode(&body) != nil || !strings.HasPrefix(body.ID, "chatcmpl-") {
		t.Fatalf("the completion's id is %q", body.ID)
	}
	out, err := explained(explainCmd{RequestID: body.ID}, r.adminURL())
	if want := "request " + resp.Header.Get("X-Request-Id") + ": "; err != nil || !strings.HasPrefix(out, want) {
		t.Errorf("%v: got %s, want %s", err, out, want)
	}
	if _, err := explained(explainCmd{RequestID: "chatcmpl-nobody"}, r.adminURL()); err == nil || !strings.Contains(err.Error(), `"chatcmpl-nobody"`) || !strings.Contains(err.Error(), "request_id of an error") {
		t.Errorf("got %v", err)
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
		d.Time, d.Try = at, max(d.Try, 1)
		text := accountOf(0, d)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("lacks %q:\n%s", want, text)
			}
		}
	}
	f(record.Decision{Verdict: record.Picked, Instance: "a", Degraded: "running,waiting", Pending: 1234, TTFT: 100, Actual: 150, Stream: true, Try: 2, Full: 1, Candidates: []record.Candidate{one, two}, Considered: 5},
		"try 2: a got it", "had been held for 1234 ms", "without running, waiting of a, which is not believed", "came after 150 ms (50 % later)", "b, would have cost 30 ms more",
		"Not considered: 1 that had it before, 1 that took nothing more.", "and 3 more")
	f(record.Decision{Verdict: record.Picked, Instance: "b", Degraded: "prediction", TTFT: 100, Unanswered: true, Candidates: []record.Candidate{one, two}},
		"fewest tokens counted", "none came: the engine answered with an error, or the client left.", "a would have cost 30 ms less, by the predictions")
	f(record.Decision{Verdict: record.Picked, Instance: "b", TTFT: 100, Actual: 50000, Max: -1, Model: "x\x1b"}, `model "x\x1b"`, "in one piece after 50.0 s", "more expected, in one piece")
	f(record.Decision{Verdict: record.Full, Instance: "b", Policy: "p", Reason: "r"}, "held: waiting for b costs less than going elsewhere now (p: r)")
	f(record.Decision{Verdict: record.Full, Instance: "b", Policy: "p", Reason: "r", Candidates: []record.Candidate{{Instance: "b", Full: true}}}, "held: no place now; b would be the choice (p: r)")
	f(record.Decision{Verdict: record.Full, Instance: "b", Unheld: true}, "try 1: no place now, and nothing may be held (queue.max_size 0)\n")
	f(record.Decision{Verdict: record.NoInstance}, "no instance that could have it was alive")
	f(record.Decision{Verdict: record.NoModel}, "no instance serves the model")
	f(record.Decision{Verdict: record.Hopeless, TTFT: 9000}, "refused: 9000 ms to the first token at the soonest, above slo.ttft")
	f(record.Decision{Verdict: record.Hopeless, TTFT: 83, Pending: 466}, "refused: 466 ms held + 83 ms to the first token = 549 ms, above slo.ttft\n")
	f(record.Decision{Verdict: record.Refused, Code: "queue_timeout", Status: 429, Pending: 3000, Max: 4}, "at most 4 more; no key\n", " ago): refused after 3.0 s in line: queue_timeout (429)\n")
	f(record.Decision{Verdict: record.Refused, Code: "queue_full", Status: 429, Max: -1}, "0 prompt tokens; no key", " ago): refused: queue_full (429)\n")
}

// Clients choose ids: two may choose the same.
func TestRequestsThatShareAnIDAreToldApart(t *testing.T) {
	f := func(name string, others int, all ...record.Decision) {
		t.Helper()
		for n := range all {
			all[n].RequestID = "id"
		}
		text := accountOf(0, all...)
		if got := strings.Count(text, "\nanother request with the same id: model "); got != others || strings.Count(text, "request id: ") != 1 {
			t.Errorf("%s: %d others, want %d:\n%s", name, got, others, text)
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

	refused, failed := try(1, record.Refused), record.Decision{Try: 1, Verdict: record.Picked, Unanswered: true}
	f("held and refused", 0, held, refused)
	f("refused after a verdict", 0, try(1, record.NoModel), refused)
	f("refused after a try", 0, failed, try(2, record.Refused))
	f("refused within a try", 0, failed, refused)
	f("answered, and the next refused", 1, picked, refused)
	f("refused, and tried anew", 1, held, refused, held, picked)
	f("both refused", 1, refused, refused)
	f("refused of another model", 1, held, record.Decision{Try: 1, Verdict: record.Refused, Model: "m"})
}

// accountOf is what is told of decisions in so many columns.
func accountOf(width int, all ...record.Decision) string {
	t := teller{width: width, now: time.Now()}
	t.request(all)
	return t.b.String()
}

func listOf(width int, all ...record.Decision) string {
	t := teller{width: width}
	t.list(all)
	return t.b.String()
}

// The try that failed is followed by another, or by the refusal.
func TestWhyNoTokenCameIsSaidWhereItIsKnown(t *testing.T) {
	failed := record.Decision{Verdict: record.Picked, Instance: "a", Try: 1, TTFT: 100, Unanswered: true}
	f := func(want string, later ...record.Decision) {
		t.Helper()
		if text := accountOf(0, append([]record.Decision{failed}, later...)...); !strings.Contains(text, "after 100 ms; none came: "+want+".\n") {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
	f("the engine answered with an error, or the client left")
	f("the try failed", record.Decision{Verdict: record.Picked, Instance: "b", Try: 2})
	f("the try failed", record.Decision{Verdict: record.Refused, Try: 2, Code: "instance_failed", Status: 502})
	f("the router gave it up", record.Decision{Verdict: record.Refused, Try: 1, Code: "internal", Status: 500})
}

func TestOfEqualsOneIsTakenByChance(t *testing.T) {
	f := func(want, not string, policy, degraded string, costs ...float32) {
		t.Helper()
		d := record.Decision{Verdict: record.Picked, Instance: "a", Policy: policy, Reason: "soonest first token", Degraded: degraded, Considered: int32(len(costs))}
		for n, c := range costs {
			d.Candidates = append(d.Candidates, record.Candidate{Instance: string(rune('a' + n)), Cost: c})
		}
		if text := accountOf(0, d); !strings.Contains(text, want) || strings.Contains(text, not) {
			t.Errorf("%v: want %q, not %q:\n%s", costs, want, not, text)
		}
	}
	f("predictive: equal: by chance)", "would have cost", "predictive", "none", 5, 5, 5)
	f("predictive: soonest first token)", "0.0 ms", "predictive", "none", 5, 5, 6)
	f("The next best, b, would have cost as much.", "equal", "predictive", "none", 5, 5.01, 6)
	f("The next best, b, would have cost 1.0 ms more.", "equal", "predictive", "none", 5, 6)
	f("p2c: soonest first token)", "equal", "p2c", "none", 5, 5)
	f("soonest first token)", "equal", "predictive", "prediction", 5, 5)
	f("soonest first token)", "equal", "predictive", "none", 5)
}

// large has everything that makes lines long.
func large(verdict string, try int32) record.Decision {
	d := record.Decision{
		RequestID: strings.Repeat("0123456789abcdef", 2), Verdict: verdict, Try: try, Instance: "a-long-name-of-an-instance-0", Policy: "predictive", Degraded: "running,waiting",
		Reason: "has more of the prompt, and that saves more than it waits", Model: "meta-llama/Llama-4-Maverick-17B-128E-Instruct", Key: "a-team", Priority: 3, Session: 1,
		Prompt: 123456, Max: 4096, Expected: 512, Pending: 3000, TTFT: 1500, Unanswered: true, Full: 3, Spare: 4, Code: "queue_timeout", Status: 429, Considered: 9,
	}
	for n := range 3 {
		d.Candidates = append(d.Candidates, record.Candidate{
			Instance: "a-long-name-of-an-instance-" + string(rune('0'+n)), TTFT: 1234, Cost: 4321 + float32(n), Wait: 1000, Fresh: 123456, Ahead: 1234567, InFlight: 200, Foreign: 100,
			Waiting: 100, KVUsage: 1, Ages: record.Ages{1234, 1234, 1234, -1, -1},
		})
	}
	return d
}

func TestAnAccountFitsTheTerminal(t *testing.T) {
	all := []record.Decision{large(record.Full, 1), large(record.Picked, 1), large(record.Picked, 2), large(record.Hopeless, 2), large(record.Refused, 3)}
	for _, width := range []int{60, 80, 100, 132} {
		for what, text := range map[string]string{"account": accountOf(width, all...), "list": listOf(width, all...)} {
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
					t.Errorf("%s: a line of %d in %d columns: %s", what, n, width, line)
				}
			}
		}
	}
	if text := listOf(80, all...); !strings.Contains(text, "01234567… ") || !strings.Contains(text, " *picked ") {
		t.Errorf("it lacks the ids:\n%s", text)
	}
}

// What no person reads is not shortened.
func TestWhatIsNoTerminalGetsAll(t *testing.T) {
	d := large(record.Picked, 1)
	for _, text := range []string{accountOf(0, d, d), listOf(0, d), accountOf(400, d)} {
		if !strings.Contains(text, d.RequestID) || strings.Contains(text, "…") {
			t.Errorf("it is shortened:\n%s", text)
		}
	}
	if widthOf(io.Discard) != 0 {
		t.Error("it has a width")
	}
}

func TestTheLegendStandsOnce(t *testing.T) {
	d := large(record.Picked, 1)
	for _, width := range []int{0, 200, 80} {
		if text := accountOf(width, d, d, d); strings.Count(text, "prompt tokens; ours") > 1 || !strings.Contains(text, "(-: it") {
			t.Errorf("%d columns:\n%s", width, text)
		}
	}
	if text := accountOf(0, record.Decision{Verdict: record.NoModel}); strings.Contains(text, "others'") {
		t.Errorf("without a table:\n%s", text)
	}
}

func TestAListMarksWhatWasDegraded(t *testing.T) {
	d := record.Decision{Verdict: record.Picked, Instance: "a", Degraded: "none", Reason: "r"}
	if text := listOf(0, d); strings.Contains(text, "*") {
		t.Errorf("nothing was:\n%s", text)
	}
	d.Degraded = "prediction"
	if text := listOf(0, d); !strings.Contains(text, "  *picked  a ") || !strings.Contains(text, "\n*: degraded, ") {
		t.Errorf("it lacks the mark:\n%s", text)
	}
	d = record.Decision{Verdict: record.Refused, Degraded: "none", Code: "queue_full", Status: 429}
	if text := listOf(0, d); !strings.Contains(text, " refused ") || !strings.Contains(text, " queue_full (429)\n") {
		t.Errorf("of a refusal:\n%s", text)
	}
}

func TestWhatReplayRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filesIn(t, dir)
	none, wrong, empty := filepath.Join(dir, "none"), file("wrong", "hello\n"), file("empty", recordingOf(0))
	f := func(status int, want string, args ...string) {
		t.Helper()
		if got, out, errs := command(append([]string{"replay"}, args...)...); got != status || !strings.Contains(errs, want) || out != "" {
			t.Errorf("%v: %d %s%s", args, got, errs, out)
		}
	}
	f(exitUsage, "which recording? penstock serve --record FILE makes one")
	f(exitUsage, `--policy: "best" is none of: predictive, `, wrong, "--policy", "best")
	f(exitUsage, `(did you mean "predictive"?)`, wrong, "--policy", "predictiv")
	f(exitUsage, "--policy needs a name: predictive, ", wrong, "--policy", "")
	f(exitUsage, "no such file", none)
	f(exitUsage, dir+" is a directory, want a recording", dir)
	f(exitFailed, "wrong: it is no recording of penstock serve --record", wrong)
	f(exitFailed, "wrong: it is no recording of penstock serve --record", empty, wrong)
	f(exitFailed, "no decision is in "+empty+"\n", empty)
	half := file("half", recordingOf(0)+"{")
	f(exitFailed, "no decision is in "+empty+", "+half+", as far as it can be read\n", empty, half)
}

// filesIn writes files to a folder.
func filesIn(t *testing.T, dir string) func(name, text string) (path string) {
	return func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// recordingOf has n decisions between two.
func recordingOf(n int) string {
	const line = `{"verdict":"picked","instance":"a","time":"2026-01-01T00:00:00Z","candidates":[{"instance":"a"},{"instance":"b"}]}` + "\n"
	return `{"format":"penstock decisions","version":1}` + "\n" + strings.Repeat(line, n)
}

func TestReplayTakesSeveralFilesAndWhatIsGoodOfThem(t *testing.T) {
	dir := t.TempDir()
	file := filesIn(t, dir)
	const refusal = `{"verdict":"refused","code":"queue_full","candidates":[]}` + "\n"
	first, second := file("x.1", recordingOf(3)), file("x", recordingOf(4)+refusal)
	broken := file("y", recordingOf(5)+"{]\n"+refusal+recordingOf(1))
	f := func(want, not string, args ...string) {
		t.Helper()
		status, out, errs := command(append([]string{"replay", "--policy", "p2c"}, args...)...)
		if status != 0 || !strings.Contains(out, want) || strings.Contains(out, not) {
			t.Errorf("%v: %d %s, want %q, not %q:\n%s", args, status, errs, want, not, out)
		}
	}
	f("7 decisions in ", "refused", first, second)
	f("7 decisions in ", "cut off", first, second)
	f("9 decisions in ", "refused", first, broken)
	f("The recording was cut off", "-1", first, broken)
	f("Damaged: "+broken+": line 7: invalid character ']'", "x.1", first, broken)
	f(`"cut": true`, "Damaged", "--json", broken)
}
