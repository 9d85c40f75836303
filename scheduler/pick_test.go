package scheduler

import (
	"sync"
	"testing"

	"penstock/scheduler/engine"
)

func TestModelDecidesWhoMayServe(t *testing.T) {
	s := fleetOf(t, 3, "round-robin")
	s.Instances()[1].models.Store(&[]engine.Model{{ID: "other", MaxLen: 10}, {ID: "lora", Parent: "other"}})
	s.republish()
	for range 6 {
		if d := pick(t, s, ask("other")); index(s, d.Instance) != 1 {
			t.Errorf("the request went to %s, which does not serve it", d.Instance.Name)
		}
		if d := pick(t, s, ask("m")); index(s, d.Instance) == 1 {
			t.Error("the request went to the one that does not serve it")
		}
	}
	if v := s.Pick(ask("nope")).Verdict; v != NoModel {
		t.Errorf("an unknown model: verdict %d, want NoModel", v)
	}
	if got := s.Models(); len(got) != 3 || got[0].ID != "lora" || got[0].Parent != "other" || got[1].MaxLen != 4096 || got[2].MaxLen != 10 {
		t.Errorf("models %+v", got)
	}
}

func TestInstanceThatSaysNoModelsMayServeAny(t *testing.T) {
	s := fleetOf(t, 2, "round-robin")
	s.Instances()[1].models.Store(nil)
	s.republish()
	if d := pick(t, s, ask("anything")); index(s, d.Instance) != 1 {
		t.Errorf("picked %s", d.Instance.Name)
	}
	s.Instances()[1].Failed(Refused, "")
	if v := s.Pick(ask("anything")).Verdict; v != NoModel {
		t.Errorf("verdict %d with only instances left that serve something else, want NoModel", v)
	}
}

func TestNothingAliveIsNoInstance(t *testing.T) {
	s := fleetOf(t, 2, "least-token")
	for _, i := range s.Instances() {
		i.Failed(Refused, "")
	}
	if v := s.Pick(ask("m")).Verdict; v != NoInstance {
		t.Errorf("verdict %d, want NoInstance", v)
	}
}

func TestTriedIsNotTriedAgain(t *testing.T) {
	s := fleetOf(t, 3, "least-token")
	q := ask("m")
	for range 3 {
		d := pick(t, s, q)
		if q.Tried.has(d.Instance) {
			t.Fatalf("%s had the request already", d.Instance.Name)
		}
		q.Tried.Add(d.Instance)
	}
	if v := s.Pick(q).Verdict; v != NoInstance {
		t.Errorf("verdict %d after all were tried", v)
	}
}

func TestSuspectIsUsedOnlyWhereNoOtherIs(t *testing.T) {
	s := fleetOf(t, 2, "round-robin")
	s.Instances()[0].Failed(Closed, "")
	for range 10 {
		if d := pick(t, s, ask("m")); index(s, d.Instance) != 1 {
			t.Fatal("a suspect was chosen beside a healthy one")
		}
	}
	s.Instances()[1].Failed(Refused, "")
	if d := pick(t, s, ask("m")); index(s, d.Instance) != 0 {
		t.Error("nobody took the request")
	}
}

func TestDegradedIsSaid(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	if d := pick(t, s, ask("m")); d.Degraded == "" {
		t.Error("a decision without a report was not called degraded")
	}
	s.Instances()[0].says(0, 0)
	if d := pick(t, s, ask("m")); d.Degraded != "" {
		t.Errorf("degraded=%s with a live report", d.Degraded)
	}
}

func TestMaxInFlightHoldsUnderConcurrency(t *testing.T) {
	s := fleetOf(t, 2, "random", func(c *Config) {
		for i := range c.Instances {
			c.Instances[i].MaxInFlight = 5
		}
	})
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			x := uint64(g)
			for range 2000 {
				x = next(x)
				d := s.Pick(&Query{Model: "m", Rand: x})
				for _, i := range s.Instances() {
					// A place that was refused is given back a moment later.
					if n := i.row.inFlight.Load(); n > 5+8 {
						t.Errorf("%d in flight", n)
					}
				}
				if d.Verdict == Picked {
					d.Reservation.End()
				}
			}
		})
	}
	all.Wait()
	var held []Decision
	for range 10 {
		held = append(held, pick(t, s, ask("m")))
	}
	if v := s.Pick(ask("m")).Verdict; v != Full {
		t.Errorf("verdict %d at ten of ten", v)
	}
	held[0].Reservation.End()
	pick(t, s, ask("m"))
}

func TestFullNamesWhereToWait(t *testing.T) {
	s := fleetOf(t, 1, "round-robin", func(c *Config) { c.Instances[0].MaxInFlight = 1 })
	pick(t, s, ask("m"))
	if d := s.Pick(ask("m")); d.Verdict != Full || d.Instance != s.Instances()[0] {
		t.Errorf("got %+v", d)
	}
}

func TestEndOfARequestTellsWhoWaits(t *testing.T) {
	s := fleetOf(t, 1, "round-robin")
	told := 0
	s.OnFree(func() { told++ })
	d := pick(t, s, ask("m"))
	d.Reservation.End()
	if told != 1 {
		t.Errorf("told %d times, want once", told)
	}
	d.Reservation.End() // a second end is none
	if n := s.Instances()[0].row.inFlight.Load(); n != 0 || told != 1 {
		t.Errorf("%d in flight, told %d times after a second end", n, told)
	}
}
