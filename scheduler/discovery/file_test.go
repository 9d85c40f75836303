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
	replace(t, path, "c d") // atomically
	got.want(t, "c d")
	write(t, path, "bad")
	log.want(t, "line 1: bad")
	write(t, path, "d")
	got.want(t, "d")
	log.want(t, "right again")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	log.want(t, "kept as they were")
	write(t, path, "e")
	got.want(t, "e")
	log.want(t, "right again")
	if len(got) > 0 || len(log) > 0 {
		t.Errorf("%d more lists, %d more lines", len(got), len(log))
	}
}

// replace renames a file that was written some time ago over path.
func replace(t *testing.T, path, content string) {
	t.Helper()
	other := path + ".new"
	write(t, other, content)
	ago := time.Now().Add(-time.Second)
	if err := errors.Join(os.Chtimes(other, ago, ago), os.Rename(other, path)); err != nil {
		t.Fatal(err)
	}
}

// Who writes a list in place makes a shorter one of it for a moment.
func TestListHalfWrittenTakesNothingAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "a b c")
	got, log := make(sets, 9), make(lines, 9)
	f := &File{Path: path, Parse: words, Set: got.set, Log: log.logger()}
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	got.want(t, "a b c")
	now := time.Now()
	look := func(wantAgain bool, lists int) {
		t.Helper()
		if again := f.look(now); again > 0 != wantAgain || len(got) != lists {
			t.Errorf("looks again in %v, %d lists", again, len(got))
		}
	}
	write(t, path, "a")
	look(true, 0)
	now = now.Add(stableFor / 2)
	look(true, 0)
	write(t, path, "a b")
	now = now.Add(stableFor / 2)
	look(true, 0) // it was changed meanwhile
	now = now.Add(stableFor / 2)
	look(true, 0)
	write(t, path, "a b c d") // whole: more than there were
	look(false, 1)
	got.want(t, "a b c d")

	write(t, path, "b")
	look(true, 0)
	now = now.Add(stableFor)
	look(false, 1)
	got.want(t, "b")

	replace(t, path, "c") // whole at once
	look(false, 1)
	got.want(t, "c")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, "d") // another inode, and perhaps half written
	look(true, 0)
	if len(log) > 0 {
		t.Errorf("logged %s", <-log)
	}
}

func TestFileThatIsRefusedIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "a")
	got, log, no := make(sets, 9), make(lines, 9), error(nil)
	f := &File{Path: path, Parse: words, Log: log.logger(), Set: func(list []Target) error {
		if no != nil {
			return no
		}
		return got.set(list)
	}}
	if err := f.Load(); err != nil {
		t.Fatal(err)
	}
	got.want(t, "a")
	no = errors.New("a name is taken")
	write(t, path, "a b")
	for range 3 {
		f.look(time.Now())
	}
	log.want(t, "a name is taken")
	no = nil
	f.look(time.Now())
	got.want(t, "a b")
	log.want(t, "right again")
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
