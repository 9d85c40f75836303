package scheduler

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusedOrResetTakesOutAtOnce(t *testing.T) {
	for _, f := range []Failure{Refused, Unreachable, Reset} {
		i := fleetOf(t, 2, "round-robin").Instances()[0]
		i.Failed(f, "")
		if got := i.State(); got != Ejected {
			t.Errorf("%s: %s, want ejected", f, got)
		}
		if st := i.Status(); st.Reason != f.String() {
			t.Errorf("reason %q, want %q", st.Reason, f)
		}
		if i.ejected[f].Load() != 1 || i.failed[f].Load() != 1 {
			t.Errorf("%s is not counted", f)
		}
	}
}

func TestOthersTakeOutWhenTheyRepeat(t *testing.T) {
	for _, f := range []Failure{Closed, Timeout, BadStatus, Protocol} {
		i := fleetOf(t, 2, "round-robin").Instances()[0]
		for n, want := range []State{Suspect, Suspect, Ejected} {
			i.Failed(f, "")
			if got := i.State(); got != want {
				t.Errorf("%s, %d in a row: %s, want %s", f, n+1, got, want)
			}
		}
	}
}

func TestSuccessBetweenFailuresForgives(t *testing.T) {
	i := fleetOf(t, 2, "round-robin").Instances()[0]
	for range 20 {
		i.Failed(Closed, "")
		i.Failed(BadStatus, "")
		i.Succeeded()
		if got := i.State(); got != Healthy {
			t.Fatalf("%s after a success", got)
		}
	}
}

func TestFailureWakesTheKeeper(t *testing.T) {
	i := fleetOf(t, 1, "round-robin").Instances()[0]
	i.Failed(Closed, "")
	select {
	case <-i.kick:
	default:
		t.Error("no probe follows a failure")
	}
}

func TestReturnedInstanceGetsItsShareSlowly(t *testing.T) {
	s := fleetOf(t, 2, "least-request")
	i := s.Instances()[0]
	i.Failed(Refused, "")
	i.recovered()
	share := func(after time.Duration) (n int) {
		i.ramp.advance(after)
		var held []Decision
		for range 100 {
			d := pick(t, s, ask("m"))
			if d.Instance == i {
				n++
			}
			held = append(held, d)
		}
		for k := range held {
			held[k].Reservation.End()
		}
		return n
	}
	early, half, whole := share(0), share(5*time.Second), share(10*time.Second)
	if early < 1 || early > 11 || half < 25 || half > 40 || whole < 49 {
		t.Errorf("of 100 in flight: %d at first, %d after 5 s, %d after 10 s", early, half, whole)
	}
}

func TestReturnedInstanceTakesAllWhereItIsAlone(t *testing.T) {
	s := fleetOf(t, 1, "round-robin")
	s.Instances()[0].Failed(Refused, "")
	s.Instances()[0].recovered()
	for range 100 {
		d := pick(t, s, ask("m"))
		d.Reservation.End()
	}
}

// An engine whose GPU is gone answers 500 at once, and looks idle: it would get
// every request. A request that no engine bears must not take them out.
func TestEngineThatAnswersNothingBut500IsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fleetOf(t, 3, "round-robin")
		i := s.Instances()[0]
		erred := func(n int) {
			for range n {
				r := asked(t, i, 10, false)
				r.FirstByte(time.Now().UnixNano())
				i.Errored()
				r.End()
				time.Sleep(300 * time.Millisecond)
			}
		}
		f := func(name string, between func()) {
			t.Helper()
			for range 5 {
				erred(3)
				between()
			}
			if i.State() != Healthy {
				t.Errorf("%s: %v", name, i.State())
			}
		}
		f("others succeed", i.Succeeded)
		f("others stream", func() {
			r := asked(t, i, 10, true)
			r.FirstByte(time.Now().UnixNano())
			for range 50 {
				r.Moved(1, 0)
			}
			r.End()
		})
		i.Succeeded()
		erred(4)
		state(t, i, Healthy)
		erred(1)
		state(t, i, Ejected)
	})
}
