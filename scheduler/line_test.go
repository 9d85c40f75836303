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
	if more != 0 || len(l.many) != 0 {
		t.Errorf("%d did not come, in line %v", more, l.many)
	}
}

// Who comes to an empty line first has no credit from before, when nobody waited.
func TestWhoComesFirstHasNoCredit(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	l := NewLine[string](s)
	s.service.charge(1, 1_000_000) // a was served without ever waiting
	holdIn(l, 0, "b0 1", "b0 2", "b0 3")
	holdIn(l, 1, "a0 1", "a0 2")
	if got := serveLine(l, 2, 4, 1000); !slices.Equal(got, []string{"b0 1", "a0 1", "b0 2", "a0 2"}) {
		t.Errorf("%q", got)
	}
}

// What is served to others, at another priority or of another model, is no credit
// against rivals.
func TestWhoJoinsIsLiftedToItsRivals(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	l := NewLine[string](s)
	holdIn(l, 0, "a0") // waits, and gets nothing
	l.Add("other", &Query{Model: "n", Key: 5, Priority: 3}, 0)
	holdIn(l, 0, "b3", "b3")
	s.service.charge(2, 1000) // b gets what there is
	holdIn(l, 0, "c3")
	if got := s.service.of(3); got != 1000 {
		t.Errorf("c begins with %d, and b, its only rival, has 1000", got)
	}
	holdIn(l, 0, "d0")
	if got := s.service.of(4); got != 0 {
		t.Errorf("d begins with %d, and a, its only rival, has 0", got)
	}
}

func TestWhatIsGivenBackOfBeforeIsNoCredit(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	l := NewLine[string](s)
	s.service.charge(1, 10_000)
	holdIn(l, 0, "a0")
	s.service.charge(2, 6_000)
	holdIn(l, 1, "b0") // is lifted to a's
	s.service.charge(2, -6_000)
	if got := s.service.of(2); got != 10_000 {
		t.Errorf("b has %d, a 10000", got)
	}
	s.service.charge(2, 500)
	s.service.charge(2, -200) // of what came since it counts
	if got := s.service.of(2); got != 10_300 {
		t.Errorf("b has %d, want 10300", got)
	}
}

// One that nobody wants to serve rises alone: of its group, who came later does
// not go before what matters more.
func TestWhoIsPassedOverRisesAlone(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	l.sched.service.time.Store(-1 << 40) // nobody is lifted
	l.sched.service.charge(1, 1_000_000)
	holdIn(l, 0, "a0")
	now := int64(5 * oldest)
	holdIn(l, now, "b0", "c3")
	if got := serveLine(l, now, 3); !slices.Equal(got, []string{"a0", "c3", "b0"}) {
		t.Errorf("%q", got)
	}
}

// Within a priority, who has been passed over for long goes first, once.
func TestAgeHelpsWithinAPriority(t *testing.T) {
	l := NewLine[string](fleetOf(t, 1, "predictive"))
	holdIn(l, 0, "a0 1", "a0 2")
	l.sched.service.charge(1, 1_000_000)
	now := int64(oldest)
	holdIn(l, now, "b0 1", "b0 2")
	l.sched.service.keys[2].got.Store(0)
	if got := serveLine(l, now, 3); !slices.Equal(got, []string{"a0 1", "b0 1", "b0 2"}) {
		t.Errorf("%q", got)
	}
}

// Behind one that nothing moves the line does not grow with those who come and go.
func TestLineBehindAStuckHeadDoesNotGrow(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	l := NewLine[int](s)
	l.Add(-1, &Query{Model: "m"}, 0)
	for n := range 10_000 {
		l.Add(n, &Query{Model: "m"}, int64(n))
		l.Add(-2, &Query{Model: "m"}, int64(n)) // nor is the last place somebody's who left
		l.Serve(int64(n), func(n int) (Decision, bool) { return Decision{Verdict: Full}, n >= 0 })
		l.Prune(func(n int) bool { return n == -2 })
	}
	if n := len(l.tenants[0].line); n != 1 || l.Len() != 1 {
		t.Errorf("%d held, in %d places", l.Len(), n)
	}
}

func TestThoseOfAFullInstanceHideNobody(t *testing.T) {
	s := fleetOf(t, 2, "predictive")
	l := NewLine[string](s)
	a := s.Instances()[0]
	for range 2 * mostLooks {
		l.Add("only", &Query{Model: "m", Only: a}, 0)
	}
	l.Add("any", &Query{Model: "m"}, 1)
	asked, served := 0, false
	l.Serve(2, func(item string) (Decision, bool) {
		asked++
		served = served || item == "any"
		return Decision{Verdict: Full, Instance: a, Saturated: true}, item == "any"
	})
	if !served || asked != 2 {
		t.Errorf("served: %v, after %d questions", served, asked)
	}
}

// A pass that was cut short goes on the next time, and the one after begins anew.
func TestAPassThatWasCutShortGoesOn(t *testing.T) {
	s := fleetOf(t, 2, "predictive")
	l := NewLine[int](s)
	for n := range mostLooks + 10 {
		l.Add(n, &Query{Model: "m"}, int64(n))
	}
	pass := func() (asked []int) {
		l.Serve(0, func(n int) (Decision, bool) {
			asked = append(asked, n)
			return Decision{Verdict: Full, Instance: s.Instances()[0], fresh: 1}, false
		})
		return asked
	}
	for n, want := range []struct{ first, number, held int }{{0, mostLooks, mostLooks}, {mostLooks, 10, mostLooks + 10}, {0, mostLooks, mostLooks}} {
		asked := pass()
		if held := s.Instances()[0].row.work.held.Load(); len(asked) != want.number || asked[0] != want.first || int(held) != want.held {
			t.Errorf("pass %d asks %d from %d, %d are held; want %+v", n, len(asked), asked[0], held, want)
		}
	}
}

// Where nothing changed, only who has come is asked for, and of nothing that is
// full.
func TestOnlyNewcomersAreAskedFor(t *testing.T) {
	s := fleetOf(t, 2, "predictive")
	l := NewLine[string](s)
	var asked []string
	place := func(item string) (Decision, bool) {
		asked = append(asked, item)
		return Decision{Verdict: Full, Saturated: item[0] == 'b', Instance: s.Instances()[0], fresh: 1}, item == "c0 2"
	}
	f := func(call func(int64, func(string) (Decision, bool)), want ...string) {
		t.Helper()
		asked = nil
		if call(0, place); !slices.Equal(asked, want) {
			t.Errorf("asked for %q, want %q", asked, want)
		}
	}
	holdIn(l, 0, "a0 1", "a0 2")
	f(l.Serve, "a0 1", "a0 2")
	f(l.Continue)
	holdIn(l, 0, "a0 3", "c0 1", "c0 2")
	f(l.Continue, "a0 3", "c0 1", "c0 2")
	holdIn(l, 0, "b0 1", "b1 2")
	f(l.Continue, "b1 2") // it is full
	holdIn(l, 0, "a9 1")
	f(l.Continue)
	f(l.Serve, "a9 1", "b1 2") // which is full again
}

// A line that is too long is relieved in its order, without waiting for a better
// place, and of classes that are full nobody is asked for twice.
func TestALineThatIsTooLongIsRelievedInOrder(t *testing.T) {
	s := fleetOf(t, 2, "predictive")
	l := NewLine[string](s)
	room := 1
	var asked []string
	place := func(item string) (Decision, bool) {
		asked = append(asked, item)
		if room--; room < 0 {
			return Decision{Verdict: Full, Saturated: true}, false
		}
		return Decision{Verdict: Picked}, true
	}
	holdIn(l, 0, "a0 1", "b2 1", "a0 2", "b2 2")
	l.Relieve(0, 3, place)
	l.Relieve(0, 3, place) // short enough
	l.Relieve(0, 2, place)
	l.Relieve(0, 2, place)
	if !slices.Equal(asked, []string{"b2 1", "b2 2"}) || l.Len() != 3 {
		t.Errorf("asked for %q, %d left", asked, l.Len())
	}
	room = 9
	if got := serveLine(l, 0, 9); !slices.Equal(got, []string{"b2 2", "a0 1", "a0 2"}) {
		t.Errorf("%q", got)
	}
}

// The last in line is the latest of the lowest priority's longest.
func TestTheLastInLineIsDropped(t *testing.T) {
	s := fleetOf(t, 1, "predictive")
	l := NewLine[string](s)
	holdIn(l, 0, "a1 1", "a1 2", "a1 3", "b1 1", "c0 1", "a1 4", "b1 2", "d1 1")
	l.Add("a1 n", &Query{Model: "n", Key: 1, Priority: 1}, 1)
	s.service.charge(2, 100)
	for _, want := range []string{"c0 1", "a1 n", "a1 4", "a1 3", "b1 2", "a1 2", "b1 1"} {
		if got := l.Drop(); got != want {
			t.Fatalf("%q is dropped, want %q", got, want)
		}
	}
	if got := serveLine(l, 0, 9); !slices.Equal(got, []string{"a1 1", "d1 1"}) || l.Len() != 0 || len(l.many) != 0 {
		t.Errorf("%q are left, then %d", got, l.Len())
	}
	if got := l.Drop(); got != "" {
		t.Errorf("%q is dropped from an empty line", got)
	}
}
