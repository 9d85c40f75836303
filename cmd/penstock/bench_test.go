package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"penstock/bench/load"
)

func TestBenchReports(t *testing.T) {
	url := engines(t, 1)[0]
	path := filepath.Join(t.TempDir(), "report.json")
	status, out, errs := command("bench", "--url", url, "--requests", "10", "--output-tokens", "4", "--json", path)
	if status != 0 || !strings.Contains(out, "10") {
		t.Fatalf("status %d: %s%s", status, out, errs)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := func(text []byte) {
		t.Helper()
		var r map[string]any
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if r["requests"] != 10.0 || r["completed"] != 10.0 || r["ttft_ms"] == nil {
			t.Errorf("got %s", text)
		}
	}
	f(b)
	_, out, _ = command("bench", "--url", url, "--requests", "10", "--output-tokens", "4", "--no-stream", "--json", "-")
	f([]byte(out))
}

func TestBenchReplaysATrace(t *testing.T) {
	url, path := engines(t, 1)[0], filepath.Join(t.TempDir(), "trace.jsonl")
	if err := os.WriteFile(path, []byte(`{"timestamp": 0, "input_length": 600, "output_length": 7, "hash_ids": [1, 2]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "page.html") // one point a curve
	status, out, errs := command("bench", "--url", url, "--trace", path, "--time-scale", "100", "--json", "-", "--html", page)
	if status != 0 || !strings.Contains(out, `"output_tokens": 7`) || !strings.Contains(out, `"prefix_hit_rate": 0`) {
		t.Errorf("status %d: %s%s", status, out, errs)
	}
}

func TestBenchSaysWhatIsWrongWithAWorkload(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"bench", "--url", "http://127.0.0.1:1"}, args...)
		if status, _, errs := command(args...); status != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: status %d, said %q, want %q", args, status, errs, want)
		}
	}
	f(`--workload: "w99" is none of w1`, "--workload", "w99")
	f("--trace: ", "--trace", "none.csv")
	f("--trace: give it or --workload", "--trace", "none.csv", "--workload", "w1")
	f("--rate: w12 needs one, in requests/s", "--workload", "w12")
	f("--api-key: 2 keys, but w7-proportional has 3 clients", "--workload", "w7-proportional", "--api-key", "a,b")
	f("--time-scale: 0 is out of range", "--time-scale", "0")
	f("--ramp: 1m0s is longer than the run's 30s: need at most that, or a longer --duration", "--rate", "5", "--ramp", "1m")
}

func TestProgressInWords(t *testing.T) {
	f := func(p load.Progress, want string) {
		t.Helper()
		if got := describe(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(load.Progress{Completed: 3, InFlight: 2}, "3 done, 2 in flight")
	f(load.Progress{InFlight: 2, Warm: 5}, "0 done, 2 in flight, 5 to warm up")
	f(load.Progress{Completed: 3, Rejected: 1, Errors: 4}, "3 done, 0 in flight, 1 rejected, 4 failed")
}
