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

func TestProgressInWords(t *testing.T) {
	f := func(p load.Progress, want string) {
		t.Helper()
		if got := describe(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(load.Progress{Completed: 3, InFlight: 2}, "3 done, 2 in flight")
	f(load.Progress{Completed: 3, Rejected: 1, Errors: 4}, "3 done, 0 in flight, 1 rejected, 4 failed")
}
