package scheduler

import (
	"fmt"
	"testing"
)

// The registrar is started anew with its engine, or a list is broken for a while.
func TestDrainOutlivesItsInstance(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	set(t, s, "registration", configOf("a", "b"), "a starting, b starting")
	s.Drain("a", true)
	set(t, s, "registration", configOf("b"), "b starting")
	if d := s.Drains(); len(d) != 1 || d[0] != (Drained{"a", "http://a:8000"}) {
		t.Errorf("the drains are %v", d)
	}
	set(t, s, "registration", configOf("b", "a"), "b starting, a draining")
	s.Drain("a", false)
	set(t, s, "registration", configOf("b", "a"), "b starting, a starting")
	set(t, s, "registration", configOf("b"), "b starting")
	set(t, s, "registration", configOf("b", "a"), "b starting, a starting")
}

func TestDrainOutlivesAChangedOption(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	list := configOf("a", "b")
	set(t, s, "file", list, "a starting, b starting")
	s.Drain("a", true)
	list[0].MaxInFlight = 64
	set(t, s, "file", list, "b starting, a draining")
	list[0].Name = "c" // the URL is the same
	set(t, s, "file", list, "b starting, c draining")
	list[0].Name, list[0].URL = "a", "http://elsewhere:1" // the name is
	set(t, s, "file", list, "b starting, a draining")
	if !s.Drain("a", false) || len(s.Drains()) != 0 {
		t.Errorf("left are %v", s.Drains())
	}
}

func TestDrainOfOneThatIsGoneIsTakenBack(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	set(t, s, "file", configOf("a"), "a starting")
	s.Drain("a", true)
	set(t, s, "file", nil, "")
	if s.Drain("a", true) || !s.Drain("a", false) || s.Drain("a", false) {
		t.Error("it was drained once")
	}
	set(t, s, "file", configOf("a"), "a starting")
}

func TestDrainsAreBounded(t *testing.T) {
	s := fleetOf(t, 0, "round-robin")
	set(t, s, "dns", configOf("stays"), "stays starting")
	s.Drain("stays", true)
	for n := range spareDrains + 9 {
		s.Set("file", configOf(fmt.Sprint("x", n)))
		s.Drain(fmt.Sprint("x", n), true)
	}
	d := s.Drains()
	if len(d) > spareDrains+2 || d[0].Name != "stays" || d[len(d)-1].Name != fmt.Sprint("x", spareDrains+8) {
		t.Errorf("%d drains, from %v to %v", len(d), d[0], d[len(d)-1])
	}
}

func TestLostRegistrationGetsNothingNewWhereOthersCan(t *testing.T) {
	s := fleetOf(t, 3, "round-robin")
	url := s.Named("a").URL
	s.Lost(url)
	if got := names(s); got != "a draining, b healthy, c healthy" {
		t.Errorf("got %q", got)
	}
	if st := s.Named("a").Status(); st.Reason != lostTouch {
		t.Errorf("reason %q", st.Reason)
	}
	s.Named("a").recovered() // its /health is good
	s.Found(url)
	if got := names(s); got != "a healthy, b healthy, c healthy" || s.Named("a").ramp.over() == false {
		t.Errorf("got %q; or its share is small", got)
	}
}

func TestManyLostRegistrationsAreTheNetwork(t *testing.T) {
	s := fleetOf(t, 4, "round-robin")
	f := func(lost string, want string) {
		t.Helper()
		s.Lost(s.Named(lost).URL)
		s.Named(lost).recovered()
		if got := names(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("a", "a draining, b healthy, c healthy, d healthy")
	f("b", "a draining, b draining, c healthy, d healthy")
	f("c", "a healthy, b healthy, c healthy, d healthy")
	s.Found(s.Named("b").URL)
	if got := names(s); got != "a draining, b healthy, c draining, d healthy" {
		t.Errorf("got %q", got)
	}
}

func TestLostRegistrationOfTheLastForAModelIsKept(t *testing.T) {
	s := fleetOf(t, 3, "round-robin")
	(*s.Named("a").models.Load())[0].ID = "rare"
	s.republish()
	s.Lost(s.Named("a").URL)
	if d := s.Pick(ask("rare")); d.Verdict != Picked {
		t.Errorf("verdict %d", d.Verdict)
	}
}

func TestLostRegistrationOfWhatAnotherSourceNamesIsOnlyDoubted(t *testing.T) {
	s := fleetOf(t, 3, "round-robin")
	a := s.Named("a")
	set(t, s, "registration", []InstanceConfig{{URL: a.URL, Name: "a"}}, "a healthy, b healthy, c healthy")
	s.Lost(a.URL)
	set(t, s, "registration", nil, "a suspect, b healthy, c healthy")
}
