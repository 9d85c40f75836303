package scheduler

import (
	"testing"

	"penstock/scheduler/engine"
)

// stays wants n queries of the kind on one instance of an idle fleet.
func stays(t *testing.T, s *Scheduler, n int, query func() *Query) {
	t.Helper()
	var first *Instance
	for range n {
		d := pick(t, s, query())
		if first == nil {
			first = d.Instance
		}
		if d.Instance != first {
			t.Fatalf("%s, after %s: %s", d.Instance.Name, first.Name, d.Reason)
		}
		d.Reservation.FirstByte(d.Reservation.at + 3e8)
		d.Reservation.End()
	}
}

func TestASessionStaysWhereItIsAmongEquals(t *testing.T) {
	for _, tokens := range []int{5, 200, 1300} { // short and long, one every four seconds
		s := speeds(t, fast, fast, fast, fast, fast, fast)
		n := 0
		for session := uint64(1); session < 6; session++ {
			stays(t, s, 12, func() *Query {
				n++
				q := prompt(string(rune('a'+n)), tokens)
				q.Session, q.Now = session, int64(n)*4e9
				return q
			})
		}
	}
}

func TestASessionLeavesABusyInstance(t *testing.T) {
	s := speeds(t, fast, fast)
	q := prompt("x", 200)
	q.Session = 7
	was := pick(t, s, q)
	for range 2 {
		busy := prompt("y", 8000)
		busy.Only, busy.Eager = was.Instance, true
		pick(t, s, busy)
	}
	q = prompt("z", 200)
	q.Session = 7
	if d := pick(t, s, q); d.Instance == was.Instance {
		t.Error("a session waits behind 16000 tokens")
	}
}

func TestAnAdapterStaysWhereItIsLoaded(t *testing.T) {
	s := speeds(t, fast, fast, fast, fast)
	for _, i := range s.Instances() {
		i.models.Store(&[]engine.Model{{ID: "m"}, {ID: "lora", Parent: "m"}})
	}
	s.republish()
	n := 0
	stays(t, s, 10, func() *Query {
		n++
		q := prompt(string(rune('a'+n)), 200)
		q.Model = "lora"
		return q
	})
}
