package scheduler

import (
	"testing"

	"penstock/scheduler/engine"
)

func TestWaitingInsideTheEngineIsFull(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	i := s.Instances()[0]
	i.says(4, 2)
	if !isFull(i) {
		t.Fatal("not full with two waiting")
	}
	i.says(4, 0)
	if isFull(i) {
		t.Fatal("full with none waiting")
	}
}

// The engine fills the place of a request that ended from its queue: we need
// not wait for the next report to know.
func TestWaitingGoesDownAsOursEnd(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	i := s.Instances()[0]
	d := []Decision{pick(t, s, ask("m")), pick(t, s, ask("m")), pick(t, s, ask("m"))}
	i.says(1, 2)
	d[0].Reservation.End()
	if !isFull(i) {
		t.Error("not full with one of two still waiting")
	}
	d[1].Reservation.End()
	if isFull(i) {
		t.Error("still full after two ended")
	}
}

func TestKVCacheWithoutRoomIsFull(t *testing.T) {
	i := fleetOf(t, 1, "least-token").Instances()[0]
	usage := func(u float64) func(*engine.Reading) { return func(r *engine.Reading) { r.KVUsage = u } }
	i.says(1, 0, usage(0.979))
	if isFull(i) {
		t.Error("full at 0.979")
	}
	i.says(1, 0, usage(0.98))
	if !isFull(i) {
		t.Error("not full at 0.98")
	}
}

func TestLearnedLimitRisesWithWhatWasSeen(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	i := s.Instances()[0]
	fill := func() (n int) {
		for s.Pick(ask("m")).Verdict == Picked {
			n++
		}
		return n
	}
	i.says(0, 0)
	if n := fill(); n != 9 { // eight are believed at once, and the ninth shows
		t.Errorf("%d went to an engine of which nothing is known, want 9", n)
	}
	last := 9
	for range 12 {
		i.says(last, 0)
		n := fill()
		if n == 0 {
			t.Fatalf("the limit stays at %d though all run", last)
		}
		last += n
	}
	if last < 64 {
		t.Errorf("only %d after twelve reports that all run", last)
	}
}

func TestStatedConcurrencyIsBelieved(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	s.Instances()[0].says(0, 0, func(r *engine.Reading) { r.MaxConcurrency = 40 })
	n := 0
	for s.Pick(ask("m")).Verdict == Picked {
		n++
	}
	if n < 40 {
		t.Errorf("%d of the 40 that it states", n)
	}
}

// Old engines do not state it, but the size of their cache and of a context.
func TestConcurrencyFollowsFromTheCache(t *testing.T) {
	s := fleetOf(t, 1, "least-token") // a context of 4096
	s.Instances()[0].says(0, 0, func(r *engine.Reading) { r.KVCapacityTokens = 30 * 4096 })
	n := 0
	for s.Pick(ask("m")).Verdict == Picked {
		n++
	}
	if n < 30 {
		t.Errorf("%d of the 30 that its cache has room for", n)
	}
}

// Between two reports our own account carries the estimate: many short requests
// in a row do not fill an instance, requests of others do.
func TestOursAreCountedOnce(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	i := s.Instances()[0]
	i.says(0, 0)
	for range 1000 {
		d := pick(t, s, ask("m"))
		d.Reservation.End()
	}
	d := pick(t, s, ask("m"))
	i.says(1, 0) // that is ours
	if l := i.load(0); l.requests != 1 {
		t.Errorf("%d requests, want 1", l.requests)
	}
	i.says(5, 0)
	d.Reservation.End()
	if l := i.load(0); l.requests != 4 {
		t.Errorf("%d requests of others, want 4", l.requests)
	}
}

func TestSilentEngineIsNotFullForEver(t *testing.T) {
	i := fleetOf(t, 1, "least-token").Instances()[0]
	i.says(4, 9)
	i.said.live.Store(0) // what the keeper does after a few misses
	if isFull(i) {
		t.Error("an old report still fills it")
	}
}

func TestStatedLimitTakesTheLearnedOnesPlace(t *testing.T) {
	s := fleetOf(t, 1, "least-token")
	i := s.Instances()[0]
	i.says(0, 0, func(r *engine.Reading) { r.Limit = 4 }) // llama.cpp with four slots
	for range 5 {                                         // one waits inside, so that no slot idles
		pick(t, s, ask("m"))
	}
	if d := s.Pick(ask("m")); d.Verdict != Full {
		t.Errorf("verdict %d for the sixth", d.Verdict)
	}
}
