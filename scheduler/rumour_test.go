package scheduler

import (
	"testing"

	"penstock/scheduler/engine"
)

// Of two instances one had less to do, of other gateways', when both were asked.
// With a little of ours it still has less; long after, others have gone there too,
// and the other one is the better.
func TestAnOldReportIsNotFollowed(t *testing.T) {
	s := speeds(t, fast, fast)
	for range 2 { // of ours, that go on
		q := ask("m")
		q.Stream, q.MaxTokens, q.Only = true, 64, s.Instances()[0]
		d := pick(t, s, q)
		d.Reservation.FirstByte(1)
	}
	for n, i := range s.Instances() {
		i.says([]int{2 + 4, 12}[n], 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens, r.Limit = 0.1, 1_000_000, 256 })
		i.said.given.Store(s.given.Load())
	}
	for _, c := range []struct {
		given uint64 // since the reports
		want  int
	}{{0, 0}, {1000, 1}} {
		s.given.Add(c.given)
		q := ask("m")
		q.Stream, q.MaxTokens = true, 64
		d := pick(t, s, q)
		d.Reservation.End()
		if d.Instance != s.Instances()[c.want] {
			t.Errorf("after %d requests more it is given to %s", c.given, d.Instance.Name)
		}
	}
}

func TestWithoutOthersNothingIsRumour(t *testing.T) {
	c := []candidate{{load: load{requests: 3, waiting: 2}}, {load: load{requests: 9}}}
	r := hear(c)
	if foreign, waiting := r.worth(1_000_000); r != (rumour{}) || foreign != 1 || waiting != 1 {
		t.Errorf("%+v, and what it said is worth %v and %v", r, foreign, waiting)
	}
}
