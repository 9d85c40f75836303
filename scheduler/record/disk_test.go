package record

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"penstock/scheduler/telemetry"
)

// hang lets the recorder's disk take nothing any more, until the test's end.
func hang(t *testing.T, rec *Recorder) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	rec.file.out.Close()
	rec.file.out = to
	to.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	for err == nil { // fill it
		_, err = to.Write(make([]byte, 4096))
	}
	to.SetWriteDeadline(time.Time{})
	t.Cleanup(func() { from.Close() })
}

// said is what was logged.
type said chan string

func (s said) Write(b []byte) (int, error) {
	s <- string(b)
	return len(b), nil
}

func droppedOf(rec *Recorder) string {
	var page telemetry.Writer
	rec.Collect(&page)
	_, value, _ := strings.Cut(string(page.Bytes()), "\npenstock_records_dropped_total ")
	return strings.TrimSpace(value)
}

func TestARecordingWhoseDiskHangsIsCountedAndKeepsNobody(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, _ := recorder(t, r, 0)
	hang(t, rec)
	log := make(said, 8)
	rec.log, rec.grace = slog.New(slog.NewTextHandler(log, nil)), time.Millisecond
	for range 40 {
		put(r, "a", 1)
	}
	if got := droppedOf(rec); got != "23" { // 16 are there, one may be on its way
		t.Errorf("%s are lost while nobody counts, want 23", got)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	rec.Run(ctx)
	<-log // that it begins
	if line := <-log; !strings.Contains(line, "its disk hangs") || !strings.Contains(line, "dropped=2") {
		t.Errorf("%s", line)
	}
	if got := droppedOf(rec); got < "23" {
		t.Errorf("%s are lost, which were 23", got)
	}
}

// What was told to be lost stays lost, though a disk wakes up.
func TestLostDecisionsNeverBecomeFewer(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, _ := recorder(t, r, 0)
	for range 40 {
		put(r, "a", 1)
	}
	if got := droppedOf(rec); got != "23" {
		t.Errorf("%s are lost before the first pass, want 23", got)
	}
	rec.written.Add(5)
	if got := droppedOf(rec); got != "23" {
		t.Errorf("%s are lost, and were 23", got)
	}
}

func TestOnlyAFileIsRecordedTo(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	f := func(path string) {
		t.Helper()
		if _, err := NewRecorder(path, NewRing(16, nil, false), quiet); err == nil || !strings.Contains(err.Error(), "--record: "+path+" is no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
	f(pipe)
	f(link)
	f("/dev/null")
	reader, err := os.OpenFile(pipe, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	f(pipe) // somebody reads it
}

func TestAStartWithoutDecisionsCostsNoOlderRecording(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.zst")
	session := func(decisions int, end bool) {
		t.Helper()
		r := NewRing(16, nil, false)
		rec, err := NewRecorder(path, r, quiet)
		if err != nil {
			t.Fatal(err)
		}
		for range decisions {
			put(r, "a", 1)
			rec.pass(time.Now(), true)
		}
		if end {
			rec.end()
		} else {
			rec.file.out.Close()
		}
	}
	f := func(file string, want int) {
		t.Helper()
		if all, err := read(t, file); err != nil && want > 0 || len(all) != want {
			t.Errorf("%s has %d decisions (%v), want %d", filepath.Base(file), len(all), err, want)
		}
	}
	session(3, true)
	session(0, true)
	f(path+".1", 3)
	session(0, false) // killed
	session(0, true)
	f(path+".1", 3)
	f(path, 0)
	session(2, true)
	session(0, true)
	f(path+".1", 2)

	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil { // a slip
		t.Fatal(err)
	}
	session(0, true)
	if b, err := os.ReadFile(path + ".1"); err != nil || string(b) != "hello" {
		t.Errorf("what is no recording is kept: %q, %v", b, err)
	}
}
