package scheduler

import (
	"slices"
	"testing"
	"time"
)

// serveLine goes along the line with room for so many, and returns who got it.
func serveLine(l *Line[string], now int64, room int, charge ...int64) (got []string) {
	l.Serve(now, func(item string) (Decision, bool) {
		if len(got) == room {
			return Decision{Verdict: Full, Saturated: true}, false
		}
		if len(charge) > 0 {
			l.sched.service.charge(int32(item[0]-'a'+1), charge[0])
		}
		got = append(got, item)
		return Decision{Verdict: Picked}, true
	})
	return got
}

// holdIn puts items in line: a letter is a key, a digit a priority.
func holdIn(l *Line[string], now int64, items ...string) {
	for _, s := range items {
		l.Add(s, &Query{Model: "m", Key: int(s[0]-'a') + 1, Priority: int(s[1] - '0')}, now)
	}
}

func TestLineIsInOrderOfArrival(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	for n, s := range []string{"a0 1", "a0 2", "a0 3", "a0 4"} {
		holdIn(l, int64(n), s)
	}
	if got := serveLine(l, 10, 2); !slices.Equal(got, []string{"a0 1", "a0 2"}) || l.Len() != 2 {
		t.Errorf("%q, %d left", got, l.Len())
	}
	if got := serveLine(l, 10, 5); !slices.Equal(got, []string{"a0 3", "a0 4"}) || l.Len() != 0 {
		t.Errorf("%q, %d left", got, l.Len())
	}
}

func TestPriorityGoesFirst(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	holdIn(l, 0, "a0", "b2", "c1")
	if got := serveLine(l, 1, 3); !slices.Equal(got, []string{"b2", "c1", "a0"}) {
		t.Errorf("%q", got)
	}
}

func TestWhoWasServedLeastGoesFirst(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	holdIn(l, 0, "a0 1", "a0 2", "a0 3", "a0 4")
	holdIn(l, 1, "b0 1", "b0 2")
	if got := serveLine(l, 1, 4, 100); !slices.Equal(got, []string{"a0 1", "b0 1", "a0 2", "b0 2"}) {
		t.Errorf("%q", got)
	}
}

func TestIdlenessIsNoCredit(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	l := NewLine[string](s)
	s.service.charge(1, 1000)
	holdIn(l, 0, "a0 1", "a0 2", "a0 3", "a0 4")
	serveLine(l, 0, 1, 100)
	holdIn(l, 1, "b0 1", "b0 2", "b0 3", "b0 4") // was not there when a was served 1000
	if got := serveLine(l, 1, 4, 100); !slices.Equal(got, []string{"b0 1", "a0 2", "b0 2", "a0 3"}) && !slices.Equal(got, []string{"a0 2", "b0 1", "a0 3", "b0 2"}) {
		t.Errorf("%q", got)
	}
}

func TestNobodyStarves(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	holdIn(l, 0, "a0")
	for n := range 20 { // somebody more important, all the time
		at := int64(n) * int64(time.Second) * 5
		holdIn(l, at, "b2")
		got := serveLine(l, at, 1)
		if slices.Equal(got, []string{"a0"}) {
			if wait := time.Duration(at); wait < 2*oldest || wait > 3*oldest {
				t.Errorf("served after %v", wait)
			}
			return
		}
	}
	t.Error("a request of a low priority starves")
}

// However old a line is, who was served least goes first.
func TestALongLineIsFair(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	holdIn(l, 0, "a0", "a0", "a0", "a0")
	holdIn(l, int64(time.Hour), "b0", "b0")
	if got := serveLine(l, int64(2*time.Hour), 4, 100); !slices.Equal(got, []string{"a0", "b0", "a0", "b0"}) {
		t.Errorf("%q", got)
	}
}

func TestModelWithoutRoomHoldsUpNoOther(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	asked := 0
	for _, m := range []string{"x", "x", "x", "y", "y"} {
		l.Add(m, &Query{Model: m}, 0)
	}
	var got []string
	l.Serve(0, func(m string) (Decision, bool) {
		asked++
		if m == "x" {
			return Decision{Verdict: Full, Saturated: true}, false
		}
		got = append(got, m)
		return Decision{Verdict: Picked}, true
	})
	if len(got) != 2 || asked != 3 || l.Len() != 3 {
		t.Errorf("got %q after %d questions, %d left", got, asked, l.Len())
	}
}

// Who waits for an instance is work that it will have: the next ones see that.
func TestThoseInLineBeforeAreSeen(t *testing.T) {
	s := fleetOf(t, 2, "predictive")
	l := NewLine[string](s)
	holdIn(l, 0, "a0 1", "a0 2")
	i := s.Instances()[0]
	l.Serve(0, func(string) (Decision, bool) {
		return Decision{Verdict: Full, Instance: i, fresh: 700, output: 50}, false
	})
	if held, wanted := i.row.work.held.Load(), i.row.work.wanted.Load(); held != 1400 || wanted != 1500 {
		t.Errorf("held %d, wanted %d", held, wanted)
	}
	l.Serve(0, func(string) (Decision, bool) { return Decision{}, true })
	if i.row.work.held.Load() != 0 {
		t.Error("those who left still count")
	}
}

func TestLineForgetsThoseWhoLeft(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	holdIn(l, 0, "a0 1", "b0 1", "a0 2", "a0 3")
	l.Prune(func(s string) bool { return s == "a0 2" || s == "b0 1" })
	var rest []string
	for s := range l.All {
		rest = append(rest, s)
	}
	if !slices.Equal(rest, []string{"a0 1", "a0 3"}) || l.Len() != 2 || len(l.tenants) != 1 {
		t.Errorf("%q, %d, %d tenants", rest, l.Len(), len(l.tenants))
	}
	if got := serveLine(l, 0, 9); !slices.Equal(got, rest) {
		t.Errorf("%q", got)
	}
}

// Who comes while the line is gone along, as an answer to a refusal, is served
// the next time.
func TestLineMayGrowWhileItIsServed(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	for n := range 1000 {
		holdIn(l, int64(n), "a0")
	}
	more := 1000
	for round := 0; l.Len() > 0; round++ {
		if round > 10 {
			t.Fatalf("%d left", l.Len())
		}
		l.Serve(0, func(string) (Decision, bool) {
			if more > 0 {
				more--
				holdIn(l, 2000, "b0")
			}
			return Decision{}, true
		})
	}
	if more != 0 || len(l.models) != 0 {
		t.Errorf("%d did not come, models %v", more, l.models)
	}
}
