package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"penstock/bench/fleet"
	"penstock/bench/workload"
)

func TestFleetReports(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "report.json"), filepath.Join(dir, "report.html")
	args := []string{"fleet", "--workload", "W12", "--policies", "least-token,random", "--rates", "2,4", "--duration", "10s", "--instances", "3"}
	status, out, errs := command(append(args, "--json", file, "--html", page)...)
	if status != 0 || !strings.Contains(out, "least-token") {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	f := func(text []byte) {
		t.Helper()
		var r struct {
			Workload  string
			Instances int
			Rows      []struct {
				Policy string
				Rate   float64
			}
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if r.Workload != "w12" || r.Instances != 3 || len(r.Rows) != 4 || r.Rows[3].Policy != "random" || r.Rows[3].Rate != 4 {
			t.Errorf("got %+v", r)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	f(b)
	if b, err = os.ReadFile(page); err != nil || !strings.Contains(string(b), "<svg") {
		t.Errorf("a page of %d bytes, %v", len(b), err)
	}
	_, out, _ = command(append(args, "--json", "-")...)
	f([]byte(out))
	_, out, _ = command("fleet", "--workload", "w12,w7-onoff", "--policies", "random", "--json", "-", "--duration", "10s")
	var list []any
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 {
		t.Errorf("two workloads: %v, want a list of two", err)
	}
}

func TestFleetReplaysATrace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trace.csv")
	text := "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"fleet", "--trace", file, "--policies", "random", "--instances", "2", "--html", filepath.Join(t.TempDir(), "page.html")}
	status, out, errs := command(args...) // one point a curve, of less than a second
	if status != 0 || !strings.Contains(out, "trace.csv") {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
	if status, _, errs := command(append(args, "--rates", "1e-9")...); status != exitUsage || !strings.Contains(errs, "--rates: 1e-09 is out of range, need 0.001") {
		t.Errorf("so slow that no time is left: status %d, said %q", status, errs)
	}
}

func TestFleetSaysWhatIsWrong(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		if status, _, errs := command(append([]string{"fleet"}, args...)...); status != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: status %d, said %q, want %q", args, status, errs, want)
		}
	}
	f(`--workload: "w99" is none of w1`, "--workload", "w99")
	f(`--policies: "best" is none of`, "--policies", "best")
	f(`--policies: "pedictive" is none of: predictive, `, "--policies", "random,pedictive")
	f(`(did you mean "predictive"?)`, "--policies", "pedictive")
	f(`(did you mean "w7-overload"?)`, "--workload", "w7-overlod")
	f("--duration: w6 has a number of requests", "--workload", "w12,w6", "--duration", "10s")
	f("--profile: unknown profile", "--profile", "9b")
	f("--rates: 0 is out of range", "--rates", "0")
	f("--gateways: 100 is out of range", "--gateways", "100")
	f("--token-error: 2 is out of range", "--token-error", "2")
	f("no such file", "--trace", "none.csv")
	f("--trace: give it or --workload, not both", "--trace", "none.csv", "--workload", "w12")
}

func TestFleetHelpFitsANarrowTerminal(t *testing.T) {
	_, out, _ := command("fleet", "--help")
	for line := range strings.Lines(out) {
		if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, w := range workload.All() {
		if !strings.Contains(out, "\n    "+w.Name+" ") {
			t.Errorf("%s has no line of its own:\n%s", w.Name, out)
		}
	}
	for _, m := range fleet.Meanings {
		if strings.Count(out, m.Column+" ") == 0 || !strings.Contains(out, m.Text+"\n") {
			t.Errorf("%s has no line of its own:\n%s", m.Column, out)
		}
	}
}

func TestFleetPageSaysWhatMadeIt(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.html")
	status, _, errs := command("fleet", "--policies", "random", "--rates", "2", "--duration", "10s", "--shed", "--html", page)
	b, err := os.ReadFile(page)
	if status != 0 || err != nil {
		t.Fatalf("status %d: %s, %v", status, errs, err)
	}
	for _, want := range []string{"penstock " + version, " UTC", "workload w12", "rates 2", "duration 10s", "seed 1", "scrape 100ms", "queue 100000", "shed yes", "oracle no"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
