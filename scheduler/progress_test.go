package scheduler

import (
	"strings"
	"testing"
	"time"

	"penstock/scheduler/engine"
)

// asked gives the instance a request of so many tokens.
func asked(t *testing.T, i *Instance, tokens int, stream bool) *Reservation {
	t.Helper()
	r, ok := i.reserve(&Query{PromptTokens: tokens, MaxTokens: -1, Stream: stream, Now: time.Now().UnixNano()})
	if !ok {
		t.Fatal("no place")
	}
	return &r
}

// learned lets the instance prefill at so many tokens a second for a while.
func learned(t *testing.T, i *Instance, e *scripted, perSecond int) {
	t.Helper()
	for range 10 {
		r := asked(t, i, perSecond, true)
		time.Sleep(time.Second)
		r.FirstByte(time.Now().UnixNano())
		e.set(func(e *scripted) { e.reading.GenerationTokens++ })
		r.End()
	}
}

func TestEngineThatHangsIsOutWithinFiveSeconds(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		learned(t, i, e, 5000)
		e.set(func(e *scripted) { e.generate = engine.ErrTimeout })
		r := asked(t, i, 500, true)
		time.Sleep(2900 * time.Millisecond)
		state(t, i, Healthy)
		time.Sleep(2 * time.Second)
		state(t, i, Ejected)
		if st := i.Status(); !strings.HasPrefix(st.Reason, "hung: nothing moved for ") || !i.hung() {
			t.Errorf("reason %q", st.Reason)
		}
		time.Sleep(time.Minute) // its health is as good as ever
		state(t, i, Ejected)
		r.End()
		e.set(func(e *scripted) { e.generate = nil })
		time.Sleep(2 * time.Second)
		state(t, i, Healthy)
		if i.ramp.over() {
			t.Error("it has its whole share at once")
		}
	})
}

// Counters that grew before the hang, and are read long after it, must not look
// like progress: vLLM's page on a busy CPU takes 100 ms, and is read every 5 s.
func TestLateReadingIsNoProgress(t *testing.T) {
	for after := range 5 {
		keepFrom(t, func(e *scripted) { e.took = 100 * time.Millisecond }, func(s *Scheduler, i *Instance, e *scripted) {
			time.Sleep(time.Minute + time.Duration(after)*time.Second)
			state(t, i, Healthy)
			e.set(func(e *scripted) { e.reading.GenerationTokens += 100; e.generate = engine.ErrTimeout })
			r := asked(t, i, 20, true)
			time.Sleep(5 * time.Second)
			state(t, i, Ejected)
			r.End()
		})
	}
}

// Whole answers are under way all the time: theirs is not the time of the
// streams' prompts between them.
func TestSpeedIsLearnedBesideWholeAnswers(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		whole := asked(t, i, 20, false)
		for range 100 {
			r := asked(t, i, 100, true)
			time.Sleep(20 * time.Millisecond)
			r.FirstByte(time.Now().UnixNano())
			e.set(func(e *scripted) { e.reading.GenerationTokens++ })
			time.Sleep(2 * time.Second)
			r.End()
		}
		e.set(func(e *scripted) { e.generate = engine.ErrTimeout })
		r := asked(t, i, 500, true)
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
		r.End()
		whole.End()
	})
}

func TestLongPromptOnASlowInstanceIsNoHang(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		learned(t, i, e, 1000)
		r := asked(t, i, 60_000, true)
		time.Sleep(100 * time.Second) // it is a little slower than it was
		state(t, i, Healthy)
		r.FirstByte(time.Now().UnixNano())
		r.End()
	})
}

func TestPromptBeforeAnythingWasLearnedHasTime(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.generate = engine.ErrTimeout })
		r := asked(t, i, 5000, true) // 10 s at 500 a second
		time.Sleep(30 * time.Second)
		state(t, i, Healthy)
		time.Sleep(30 * time.Second)
		state(t, i, Ejected)
		r.End()
	})
}

func TestCountersThatMoveAreNoHang(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		r := asked(t, i, 100, false) // an answer in one piece, and long
		for range 60 {
			time.Sleep(time.Second)
			e.set(func(e *scripted) { e.reading.GenerationTokens += 40; e.reading.Running = 1 })
		}
		state(t, i, Healthy)
		r.End()
	})
}

func TestLongWholeAnswerOfAnEngineThatCountsAtTheEndIsNoHang(t *testing.T) {
	keepFrom(t, func(e *scripted) { e.reading.Kind = engine.SGLang }, func(s *Scheduler, i *Instance, e *scripted) {
		time.Sleep(time.Second)
		state(t, i, Healthy)
		r := asked(t, i, 100, false)
		time.Sleep(time.Minute)
		state(t, i, Healthy)
		r.End()
	})
}

// The client of a stream may read slowly: that its bytes do not move proves
// nothing, where the engine says that it runs nothing.
func TestStreamThatItsClientHoldsUpIsNoHang(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		r := asked(t, i, 100, true)
		r.FirstByte(time.Now().UnixNano())
		time.Sleep(time.Minute)
		state(t, i, Healthy)
		next := asked(t, i, 100, true) // has all the time that any other has
		time.Sleep(2 * time.Second)
		state(t, i, Healthy)
		next.FirstByte(time.Now().UnixNano())
		next.End()
		e.set(func(e *scripted) { e.reading.Running, e.generate = 1, engine.ErrTimeout }) // but if it runs it, and counts no token
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
		r.End()
	})
}

func TestHungInstanceWhoseStreamsMoveAgainIsBack(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.generate = engine.ErrTimeout; e.reading.Running = 1 })
		r := asked(t, i, 100, true)
		r.FirstByte(time.Now().UnixNano())
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
		r.Moved(1, 0)
		time.Sleep(2 * time.Second)
		state(t, i, Healthy)
		r.End()
	})
}

// An engine that takes no completions (embeddings) cannot be asked for a proof:
// a request has to try, later and later.
func TestHungInstanceThatCannotBeProvenIsTried(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.generate = &engine.StatusError{Code: 404} })
		r := asked(t, i, 100, true)
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
		r.End()
		time.Sleep(7 * time.Second)
		state(t, i, Healthy)
	})
}

func TestSpeedIsLearned(t *testing.T) {
	var p prompts
	var s speed
	if got := s.of(1000); got != 2*time.Second {
		t.Errorf("1,000 tokens take %v at first", got)
	}
	now := int64(time.Second)
	for range 20 { // two at a time, 4,000 tokens a second together
		p.begin(wait{tokens: 2000}, now)
		p.begin(wait{tokens: 2000}, now)
		p.end(wait{tokens: 2000}, now+int64(time.Second), true)
		p.end(wait{tokens: 2000}, now+int64(time.Second), true)
		now += int64(10 * time.Second) // and then nothing for a while
		s.learn(&p, 0, true)
	}
	if got := s.of(8000); got < 1900*time.Millisecond || got > 2100*time.Millisecond {
		t.Errorf("8,000 tokens take %v, want 2 s", got)
	}
	if p.lengths.longest() != 0 || p.underWay.Load() != 0 {
		t.Error("something is left under way")
	}
	p.begin(wait{tokens: 3000}, now)
	p.begin(wait{tokens: 100}, now)
	if got := p.lengths.longest(); got != 4096 {
		t.Errorf("the longest is %d", got)
	}
}

// The whole process stands still: its /health is what fails first.
func TestFrozenProcessGivesItsRequestsBack(t *testing.T) {
	for after := range 10 {
		keep(t, func(s *Scheduler, i *Instance, e *scripted) {
			time.Sleep(2*time.Second + time.Duration(after)*100*time.Millisecond)
			state(t, i, Healthy)
			r := asked(t, i, 100, false)
			e.set(func(e *scripted) { e.down = engine.ErrTimeout })
			time.Sleep(5 * time.Second)
			state(t, i, Ejected)
			if !i.Stuck() {
				t.Errorf("%v: it keeps the request; reason %q", after, i.Status().Reason)
			}
			r.End()
			e.set(func(e *scripted) { e.down = nil })
			time.Sleep(5 * time.Second)
			if state(t, i, Healthy); i.Stuck() {
				t.Error("still stuck")
			}
		})
	}
}

func TestEngineThatFallsAsleepGivesItsRequestsBack(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		r := asked(t, i, 100, true)
		e.set(func(e *scripted) { e.reading.Has |= engine.HasSleep; e.reading.Asleep = true })
		time.Sleep(5 * time.Second)
		if state(t, i, Starting); !i.Stuck() {
			t.Error("it keeps the request")
		}
		r.End()
	})
}

// TGI counts a prompt as it comes, others count an answer as it ends: neither
// proves that they would count in between.
func TestEngineThatCountsNowAndThenIsNotHungInBetween(t *testing.T) {
	for _, kind := range []engine.Kind{engine.TGI, engine.SGLang} {
		keepFrom(t, func(e *scripted) { e.reading.Kind = kind; e.took = 20 * time.Millisecond }, func(s *Scheduler, i *Instance, e *scripted) {
			time.Sleep(2 * time.Second)
			long := asked(t, i, 100, false)
			for range 20 {
				r := asked(t, i, 100, false)
				e.set(func(e *scripted) { e.reading.PromptTokens += 100 })
				time.Sleep(700 * time.Millisecond)
				r.FirstByte(time.Now().UnixNano())
				e.set(func(e *scripted) { e.reading.GenerationTokens += 30 })
				r.End()
			}
			time.Sleep(20 * time.Second)
			state(t, i, Healthy)
			long.End()
		})
	}
}

// Prompts from the cache teach a speed that no cold prompt has.
func TestColdPromptAfterCachedOnesIsNoHang(t *testing.T) {
	for _, tells := range []bool{true, false} {
		keep(t, func(s *Scheduler, i *Instance, e *scripted) {
			if tells {
				e.set(func(e *scripted) { e.reading.Has |= engine.HasPrefix })
			}
			state(t, i, Healthy)
			for range 50 {
				r := asked(t, i, 30_000, true)
				time.Sleep(300 * time.Millisecond)
				r.FirstByte(time.Now().UnixNano())
				e.set(func(e *scripted) {
					e.reading.PromptTokens += 30_000
					if tells {
						e.reading.PrefixHits += 29_900
					}
				})
				r.End()
			}
			r := asked(t, i, 60_000, true)
			time.Sleep(7500 * time.Millisecond) // 8,000 tokens a second
			state(t, i, Healthy)
			r.End()
		})
	}
}

// vLLM counts a prompt once it is done; until then its cache fills up.
func TestCacheThatFillsIsProgress(t *testing.T) {
	keepFrom(t, func(e *scripted) { e.reading.Has |= engine.HasKVUsage }, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		r := asked(t, i, 100, true) // it is longer than it looks
		for range 30 {
			time.Sleep(time.Second)
			e.set(func(e *scripted) { e.reading.KVUsage += 0.001 })
		}
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.generate = engine.ErrTimeout })
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
		r.End()
	})
}

// How long images take, or a request that another instance hung with, its text
// does not tell: alone it takes nobody out so soon.
func TestRequestThatIsNotUnderstoodHasTime(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.generate = engine.ErrTimeout })
		opaque, _ := i.reserve(&Query{PromptTokens: 5, Stream: true, Opaque: true, Now: time.Now().UnixNano()})
		time.Sleep(20 * time.Second)
		state(t, i, Healthy)
		r := asked(t, i, 20, true) // but one that is understood ought to have come
		time.Sleep(time.Second)
		state(t, i, Ejected)
		r.End()
		opaque.End()
	})
}

// Without counters an answer in one piece, or another gateway's request, excuses
// an engine. Not for ever.
func TestExcuseOfASilentEngineEnds(t *testing.T) {
	f := func(name string, running int, stream bool, most time.Duration) {
		keep(t, func(s *Scheduler, i *Instance, e *scripted) {
			e.set(func(e *scripted) {
				e.reading = engine.Reading{Kind: engine.LlamaCPP, Has: engine.HasRunning | engine.HasWaiting, Running: float64(running)}
				e.generate = engine.ErrTimeout
			})
			time.Sleep(2 * time.Second)
			rs := []*Reservation{asked(t, i, 100, true), asked(t, i, 100, stream)}
			time.Sleep(most / 2)
			state(t, i, Healthy)
			time.Sleep(most/2 + 2*time.Second)
			if i.State() != Ejected {
				t.Errorf("%s: %v after %v", name, i.State(), most)
			}
			for _, r := range rs {
				r.End()
			}
		})
	}
	f("an answer in one piece", 2, false, wholeFor)
	f("another gateway", 5, true, foreignFor)
}
