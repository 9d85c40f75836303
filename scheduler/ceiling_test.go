package scheduler

import (
	"testing"
	"time"
)

func TestEngineThatRunsNoMoreHasACeiling(t *testing.T) {
	var c ceiling
	now, ended := time.Unix(0, 0), uint64(0)
	hear := func(running, waiting, usage, streams int64) {
		now, ended = now.Add(time.Second), ended+2
		c.heard(running, waiting, usage, streams, ended, now)
	}
	expect := func(want int64, what string) {
		t.Helper()
		if c.limit != want {
			t.Fatalf("%s: a limit of %d, want %d", what, c.limit, want)
		}
	}
	for range 9 {
		hear(4, 3, 950_000, 4)
	}
	expect(0, "its cache is full")
	for range 9 {
		hear(4, 3, 100_000, 2)
	}
	expect(0, "it reads prompts in")
	for n := range int64(9) {
		hear(4+n%2, 3, 100_000, 9)
	}
	expect(0, "never as many")
	for range ceilingSeen + 1 {
		hear(4, 3, 100_000, 4)
	}
	expect(4, "as many again and again, and others wait")
	for range 9 {
		hear(4, 0, 100_000, 4)
	}
	expect(4, "none wait")
	hear(4, 0, 100_000, 4)
	expect(5, "it is doubted after a while")
	for range ceilingSeen + 1 {
		hear(4, 1, 100_000, 4)
	}
	expect(4, "and met again")
	hear(6, 0, 100_000, 6)
	expect(0, "it runs more")
}

func TestReportsOfWhichNobodyEndedAreOne(t *testing.T) {
	var c ceiling
	for n := range 9 {
		c.heard(4, 3, 0, 4, 7, time.Unix(int64(n), 0))
	}
	if c.limit != 0 {
		t.Errorf("a limit of %d, of an engine that stands still", c.limit)
	}
}

// An engine that runs four at once gets no fifth that would wait inside.
func TestPredictiveLetsNobodyWaitUnderACeiling(t *testing.T) {
	s := speeds(t, fast)
	i := s.Instances()[0]
	i.said.limit.Store(4)
	for n := range 4 {
		d := pick(t, s, prompt(string(rune('a'+n)), 64))
		d.Reservation.FirstByte(1)
	}
	if d := s.Pick(prompt("x", 64)); d.Verdict != Full {
		t.Errorf("verdict %v, and it would wait inside", d.Verdict)
	}
}
