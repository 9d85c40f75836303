package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var errPage = errors.New("no page")

// The page's failure takes no figures with it.
func TestJSONIsThereWithoutThePage(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	r, err := openReports(nil, path, filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.write([]int{1, 2}, func() ([]byte, error) { return nil, errPage }); !errors.Is(err, errPage) {
		t.Errorf("got error %v, want the page's", err)
	}
	var list []int
	if b, err := os.ReadFile(path); err != nil || json.Unmarshal(b, &list) != nil || len(list) != 2 {
		t.Errorf("the file has %q, %v", b, err)
	}
}

// A file keeps what it has until there is a report, and then has that alone.
func TestReportTakesThePlaceOfAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.html")
	f := func(want string, write bool) {
		t.Helper()
		r, err := openReports(nil, "", path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.close()
		if write {
			err = r.write(nil, func() ([]byte, error) { return []byte(want), nil })
		}
		if b, _ := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("the file has %q, %v, want %q", b, err, want)
		}
	}
	f("a long report", true)
	f("a long report", false)
	f("short", true)
}

// A path that cannot be written is said before anything is run.
func TestReportsAreOpenBeforeTheRun(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	for _, args := range [][]string{
		{"fleet", "--workload", "large", "--duration", "24h"},
		{"bench", "--url", "http://127.0.0.1:1", "--model", "m", "--duration", "24h"},
	} {
		f := func(want string, more ...string) {
			t.Helper()
			if status, _, errs := command(append(slices.Clone(args), more...)...); status != exitUsage || !strings.Contains(errs, want) {
				t.Errorf("%s: status %d, said %q, want %q", args[0], status, errs, want)
			}
		}
		f("--html: open ", "--json", path, "--html", filepath.Join(dir, "none", "x.html"))
		f("--json: open ", "--json", dir)
	}
}
