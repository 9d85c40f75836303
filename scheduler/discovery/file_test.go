package discovery

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// words parses a file of URLs, for tests.
func words(content []byte) (list []Target, err error) {
	for w := range strings.FieldsSeq(string(content)) {
		if w == "bad" {
			return nil, errors.New("line 1: bad")
		}
		list = append(list, Target{URL: w, Name: w})
	}
	return list, nil
}

func urls(list []Target) string {
	var all []string
	for _, t := range list {
		all = append(all, t.URL)
	}
	return strings.Join(all, " ")
}

// sets collects the lists of a source.
type sets chan string

func (s sets) set(list []Target) error { s <- urls(list); return nil }

func (s sets) want(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-s:
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("%q did not come", want)
	}
}

// lines collects log lines.
type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

func (l lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l lines) want(t *testing.T, part string) {
	t.Helper()
	select {
	case got := <-l:
		if !strings.Contains(got, part) {
			t.Errorf("logged %q, want something with %q", got, part)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing with %q was logged", part)
	}
}

// running runs f until the test ends.
func running(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instances.yaml")
	write(t, path, "a b")
	got, log := make(sets, 9), make(lines, 9)
	f := &File{Path: path, Parse: words, Set: got.set, Log: log.logger()}
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	got.want(t, "a b")
	running(t, f.Run)

	write(t, path, "a b c") // in place
	got.want(t, "a b c")
	other := path + ".new"
	write(t, other, "c d")
	if err := os.Rename(other, path); err != nil { // atomically
		t.Fatal(err)
	}
	got.want(t, "c d")
	write(t, path, "bad")
	log.want(t, "line 1: bad")
	write(t, path, "d")
	got.want(t, "d")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	log.want(t, "kept as they were")
	write(t, path, "e")
	got.want(t, "e")
	if len(got) > 0 || len(log) > 0 {
		t.Errorf("%d more lists, %d more lines", len(got), len(log))
	}
}

func TestFileThatIsWrongAtFirstIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f := &File{Path: path, Parse: words, Set: make(sets, 1).set, Log: make(lines, 1).logger()}
	if err := f.Load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "bad")
	if err := f.Load(); err == nil || err.Error() != "line 1: bad" {
		t.Errorf("a bad file: %v", err)
	}
	f.Path = t.TempDir()
	if err := f.Load(); err == nil {
		t.Error("a folder was read")
	}
}
