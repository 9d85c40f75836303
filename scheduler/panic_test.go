package scheduler

import (
	"testing"
	"time"

	"penstock/scheduler/engine"
)

func TestInPanicTheLeastBadIsTried(t *testing.T) {
	s := fleetOf(t, 3, "least-request")
	all := s.Instances()
	out := func(i *Instance, f Failure) {
		for range failuresInRow * panicFactor {
			i.Failed(f, "")
		}
		if i.State() != Ejected {
			t.Fatalf("%s is %s", i.Name, i.State())
		}
	}
	out(all[0], Probe)
	if s.fleet.panicking() {
		t.Error("a panic over one of three")
	}
	if d := pick(t, s, ask("m")); d.Instance == all[0] {
		t.Error("one that is out was given a request while others are in")
	}
	out(all[1], Refused)
	if !s.fleet.panicking() {
		t.Error("no panic over two of three")
	}
	out(all[2], BadStatus)
	for range 10 {
		d := pick(t, s, ask("m"))
		if d.Instance == all[1] {
			t.Error("an instance that refuses connections was tried")
		}
		d.Reservation.End()
	}
	all[0].recovered()
	if d := pick(t, s, ask("m")); d.Instance != all[0] {
		t.Error("one that is out was preferred to one that is in")
	}
}

func TestInPanicItTakesMoreToBeTakenOut(t *testing.T) {
	s := fleetOf(t, 3, "least-request")
	all := s.Instances()
	all[0].Failed(Refused, "")
	all[1].Failed(Refused, "")
	for range failuresInRow * panicFactor {
		if all[2].State() == Ejected {
			t.Fatal("out as easily as ever")
		}
		all[2].Failed(Timeout, "")
	}
	if all[2].State() != Ejected {
		t.Error("it is never out")
	}
}

func TestHungInstanceIsNoLastResort(t *testing.T) {
	s := fleetOf(t, 1, "least-request")
	s.Instances()[0].Failed(Hung, "")
	if d := s.Pick(ask("m")); d.Verdict != NoInstance || s.Routable() {
		t.Errorf("verdict %d", d.Verdict)
	}
}

// A request that was there when its instance left may fail afterwards.
func TestInstanceThatLeftIsNotCounted(t *testing.T) {
	s := fleetOf(t, 2, "least-request")
	a := s.Instances()[0]
	s.Set(firstSource, []InstanceConfig{{URL: s.Instances()[1].URL, Name: "b"}})
	a.Failed(Refused, "")
	if s.fleet.out.Load() != 0 || s.fleet.size.Load() != 1 {
		t.Errorf("%d of %d are out", s.fleet.out.Load(), s.fleet.size.Load())
	}
}

func TestWhoDrainsIsNotCountedAmongTheWell(t *testing.T) {
	s := fleetOf(t, 10, "round-robin")
	for _, i := range s.Instances()[:6] {
		s.Drain(i.Name, true)
	}
	for _, i := range s.Instances()[6:] {
		i.fault(Probe, "its health path is gone")
	}
	if !s.fleet.panicking() {
		t.Fatal("all that are not drained are out, and it is no panic")
	}
	d := pick(t, s, ask("m"))
	d.Reservation.End()
	for _, i := range s.Instances()[:6] {
		s.Drain(i.Name, false)
	}
	if s.fleet.panicking() {
		t.Error("four of ten are out, and it is a panic")
	}
}

func TestPanicTakesMoreProbes(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		s.fleet.size.Add(5)
		s.fleet.out.Add(5) // five others are out
		e.set(func(e *scripted) { e.health = &engine.StatusError{Code: 500} })
		time.Sleep(5 * time.Second)
		state(t, i, Healthy)
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
	})
}
