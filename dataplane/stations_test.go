package dataplane

import (
	"log/slog"
	"testing"

	"penstock/dataplane/ring"
	"penstock/scheduler"
)

func TestInstanceThatLeftIsForgotten(t *testing.T) {
	s := newStations(func(i *scheduler.Instance) *station {
		return &station{inst: i, warm: new(warm), ring: ring.New[*waiter](2)}
	})
	sched, err := scheduler.New(scheduler.DefaultConfig(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{stations: s.all, max: 1, line: scheduler.NewLine[*waiter](sched)}
	h.bell.Init()
	f := func(stations, orphans int) {
		t.Helper()
		if len(s.all()) != stations || len(h.orphans.list) != orphans {
			t.Errorf("%d stations, %d orphans; want %d, %d", len(s.all()), len(h.orphans.list), stations, orphans)
		}
	}
	idle, asked := new(scheduler.Instance), new(scheduler.Instance)
	s.of(idle)
	w := h.enter(new(scheduler.Query), s.of(asked), 0, 0)
	f(3, 0)
	h.adopt(s.drop(idle)) // nobody waits there, and nobody looks after the line
	f(2, 0)
	s.look(idle) // by who only reads
	f(2, 0)
	h.adopt(s.drop(asked))
	f(1, 1)
	if h.collect(0); h.line.Len() != 1 {
		t.Fatalf("%d in the line: what waits at an instance that left is not found", h.line.Len())
	}
	h.leave(w)
	s.of(idle)
	h.adopt(s.drop(idle))
	f(1, 0)
}
