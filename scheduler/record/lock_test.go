package record

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTwoRoutersDoNotRecordToOneFile(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, path := recorder(t, r, 1) // each decision begins a new file
	f := func(when string) {
		t.Helper()
		_, err := NewRecorder(path, r, quiet)
		if err == nil || err.Error() != "--record: "+path+": another router records to it" {
			t.Errorf("%s: %v", when, err)
		}
	}
	f("at first")
	for range 3 {
		put(r, "a", 1)
		rec.pass(time.Now(), true)
	}
	f("after it was begun anew")
	put(r, "a", 1)
	rec.pass(time.Now(), true)
	rec.end()
	if all, err := read(t, path); err != nil || len(all) != 1 || all[0].Seq != 4 {
		t.Errorf("the first router's file has %v, %v", all, err)
	}
	next, err := NewRecorder(path, r, quiet)
	if err != nil {
		t.Fatalf("once the first has ended: %v", err)
	}
	next.end()
}

// Who opened a file that was renamed in the meantime has the older one.
func TestALockIsOfTheFileAtThePath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	out, err := claim(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if !isAt(out, path) {
		t.Error("it is there")
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if isAt(out, path) {
		t.Error("it was renamed")
	}
}

func TestARecordingSaysThatItBeginsAndEnds(t *testing.T) {
	r := NewRing(16, nil, false)
	rec, path := recorder(t, r, 0)
	log := make(said, 8)
	rec.log = slog.New(slog.NewTextHandler(log, nil))
	put(r, "a", 1)
	ctx, end := context.WithCancel(t.Context())
	end()
	rec.Run(ctx)
	for _, want := range []string{
		fmt.Sprintf(`level=INFO msg="decisions are recorded" file=%s`, path),
		fmt.Sprintf(`level=INFO msg="the recording has ended" file=%s recorded=1`, path),
	} {
		if line := <-log; !strings.Contains(line, want) {
			t.Errorf("%s lacks %s", line, want)
		}
	}
}
