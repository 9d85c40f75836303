package scheduler

import (
	"math"
	"testing"
)

// waits is what each in line is told.
func waits(l *Line[string], now int64) map[string]float64 {
	told := make(map[string]float64)
	l.Wait(now, func(item string, wait float64) { told[item] = math.Round(wait*100) / 100 })
	return told
}

func TestWaitIsTheLinesPace(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	for range throughputFrom + 3 {
		holdIn(l, 0, "a0 x")
	}
	holdIn(l, 0, "a0 y", "a0 z", "b0", "c2")
	if got := waits(l, 5e8); len(got) != 0 {
		t.Errorf("the line has not moved, and %v", got)
	}
	serveLine(l, 1e9, throughputFrom) // one every 1/8 s; the most important, and one of b's, among them
	holdIn(l, 1e9, "c2", "b0 1", "b0 2")
	got := waits(l, 1e9)
	each := 1.0 / throughputFrom
	if want := 0.0; got["c2"] != want {
		t.Errorf("the first waits %v s, want %v", got["c2"], want)
	}
	// Behind c's, two of its own, and three of a's that go in turn with these.
	if want := math.Round((1+2+3)*each*100) / 100; got["b0 2"] != want {
		t.Errorf("b's last waits %v s, want %v", got["b0 2"], want)
	}
	if got["a0 z"] <= got["b0 1"] {
		t.Errorf("a's last waits %v s, b's first %v", got["a0 z"], got["b0 1"])
	}
}

func TestLineThatWasEmptyBeginsAnew(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	for range throughputFrom {
		holdIn(l, 0, "a0")
	}
	serveLine(l, 1e9, throughputFrom)
	holdIn(l, 60e9, "a0 1", "a0 2") // a minute in which nobody stood there is none of its pace
	if got := waits(l, 61e9); len(got) != 0 {
		t.Errorf("%v", got)
	}
}
