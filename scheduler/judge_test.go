package scheduler

import (
	"testing"
	"testing/synctest"
	"time"

	"penstock/scheduler/engine"
)

// busy keeps n streams moving on the instance for a while, one of them ending
// and another beginning each 100 ms.
func busy(t *testing.T, i *Instance, n int, d time.Duration, each func()) {
	t.Helper()
	var held []Reservation
	begin := func() {
		r, ok := i.reserve(&Query{PromptTokens: 10, MaxTokens: 100, Stream: true, Now: time.Now().UnixNano()})
		if !ok {
			t.Fatal("no place")
		}
		r.FirstByte(time.Now().UnixNano())
		held = append(held, r)
	}
	for range n {
		begin()
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(100 * time.Millisecond)
		held[0].End()
		held = held[1:]
		begin()
		for k := range held {
			held[k].Moved(1, 0)
		}
		if each != nil {
			each()
		}
	}
	for k := range held {
		held[k].End()
	}
}

func signalOf(t *testing.T, i *Instance, name string) Signal {
	t.Helper()
	for _, s := range i.Status().Signals {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no signal %s", name)
	return Signal{}
}

func believed(t *testing.T, i *Instance, name, why string) {
	t.Helper()
	if s := signalOf(t, i, name); s.Alive != (why == "") || s.Why != why {
		t.Errorf("%s: alive %v, why %q; want %q", name, s.Alive, s.Why, why)
	}
}

func TestSignalsThatMoveAreBelieved(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.reading.Running = 8 })
		busy(t, i, 8, 10*time.Second, func() { e.set(func(e *scripted) { e.reading.GenerationTokens += 8 }) })
		state(t, i, Healthy)
		for _, name := range []string{"running", "waiting", "tokens", "progress"} {
			believed(t, i, name, "")
		}
		if !signalOf(t, i, "tokens").Changed || signalOf(t, i, "waiting").Changed {
			t.Error("ever changed: not as it was")
		}
	})
}

func TestPageThatStandsStillWhileWorkEndsIsFrozen(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.reading.Running = 8 })
		busy(t, i, 8, 5*time.Second, nil)
		state(t, i, Healthy)
		believed(t, i, "running", "frozen")
		believed(t, i, "tokens", "frozen")
		if d := pick(t, s, ask("m")); d.Degraded != "running,waiting" {
			t.Errorf("degraded %q", d.Degraded)
		} else {
			d.Reservation.End()
		}
		e.set(func(e *scripted) { e.reading.GenerationTokens += 100 })
		time.Sleep(time.Second)
		state(t, i, Healthy)
		believed(t, i, "running", "")
	})
}

// Between two readings every page stands still: one that is read seldom, as it
// takes the engine long, is no old one.
func TestPageThatIsReadSeldomIsNotFrozen(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.took, e.reading.Running = 100*time.Millisecond, 8 })
		busy(t, i, 8, 30*time.Second, func() {
			e.set(func(e *scripted) { e.reading.GenerationTokens += 8 })
			believed(t, i, "tokens", "")
		})
	})
}

// A page that an idle engine serves stands still too.
func TestPageOfAnIdleEngineIsNotFrozen(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		time.Sleep(time.Hour)
		state(t, i, Healthy)
		believed(t, i, "tokens", "")
	})
}

func TestRunningCountThatCannotBeIsUntrue(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		tokens := func() { e.set(func(e *scripted) { e.reading.GenerationTokens += 20 }) }
		busy(t, i, 20, 5*time.Second, tokens) // running is 0
		believed(t, i, "running", "untrue")
		believed(t, i, "tokens", "")
		e.set(func(e *scripted) { e.reading.Running = 20 })
		busy(t, i, 20, time.Second, tokens)
		believed(t, i, "running", "")
	})
}

func TestEmptyCacheThatCannotBeIsUntrue(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) {
			e.reading.Running, e.reading.KVCapacityTokens = 20, 10_000
			e.reading.Has |= engine.HasKVUsage | engine.HasCapacity
		})
		busy(t, i, 20, 5*time.Second, func() { e.set(func(e *scripted) { e.reading.GenerationTokens += 20 }) })
		believed(t, i, "kv_usage", "untrue")
		believed(t, i, "running", "")
	})
}

func TestSeriesThatAnUpgradeRenamedIsAbsent(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		believed(t, i, "waiting", "")
		e.set(func(e *scripted) { e.reading.Has &^= engine.HasWaiting })
		time.Sleep(time.Second)
		state(t, i, Healthy)
		believed(t, i, "waiting", "absent")
		if st := i.Status(); st.Reason != "signals not believed: waiting absent" {
			t.Errorf("reason %q", st.Reason)
		}
		if d := pick(t, s, ask("m")); d.Degraded != "waiting" {
			t.Errorf("degraded %q", d.Degraded)
		} else {
			d.Reservation.End()
		}
		if n := s.degraded[sigWaiting].Load(); n != 1 || s.degraded[sigRunning].Load() != 0 {
			t.Errorf("%d decisions were counted", n)
		}
	})
}

// Full for ever, it would never get the request that proves it wrong: SGLang's
// gauges are those of its last log line.
func TestQueueThatStandsStillDoesNotFillAnInstanceForEver(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.reading.Waiting, e.reading.Running = 3, 20 })
		time.Sleep(time.Second)
		synctest.Wait()
		if !isFull(i) {
			t.Fatal("not full with three waiting")
		}
		time.Sleep(4 * time.Second)
		d := pick(t, s, ask("m"))
		d.Reservation.End()
		e.set(func(e *scripted) { e.reading.Waiting = 4 }) // it does move
		time.Sleep(time.Second)
		synctest.Wait()
		if !isFull(i) {
			t.Error("not full with four waiting")
		}
	})
}

func TestCountBeyondAllIntegersIsNotNegative(t *testing.T) {
	for _, policy := range Policies() {
		s := fleetOf(t, 1, policy)
		i := s.Instances()[0]
		d := pick(t, s, ask("m"))
		i.says(0, 0, func(r *engine.Reading) { r.Running, r.Waiting = 2e19, 3e19 })
		if n := i.load(1).requests; n < 0 || n > 4*mostRequests {
			t.Errorf("%s: %d requests in it", policy, n)
		}
		s.Pick(ask("m"))
		d.Reservation.End()
	}
}
