package scheduler

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"penstock/scheduler/engine"
)

// story is what was logged, line by line.
type story []string

func (s story) count(part string) (n int) {
	for _, line := range s {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// told wants so many lines with a part.
func (s story) told(t *testing.T, want int, part string) {
	t.Helper()
	if n := s.count(part); n != want {
		t.Errorf("%d lines with %q, want %d:\n%s", n, part, want, strings.Join(s, "\n"))
	}
}

// recorder keeps what is logged.
type recorder struct {
	mu   sync.Mutex
	said story
}

func (r *recorder) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, strings.TrimSpace(string(line)))
	return len(line), nil
}

func (r *recorder) lines() story {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.said)
}

// keepLogged is keep; it returns what was logged of the instance.
func keepLogged(t *testing.T, f func(s *Scheduler, i *Instance, e *scripted), prepare ...func(*Scheduler)) story {
	t.Helper()
	return keepLoggedFrom(t, func(*scripted) {}, f, prepare...)
}

// keepLoggedFrom is keepLogged of an engine that is something from the beginning.
func keepLoggedFrom(t *testing.T, begin func(e *scripted), f func(s *Scheduler, i *Instance, e *scripted), prepare ...func(*Scheduler)) story {
	t.Helper()
	r := new(recorder)
	keepFrom(t, begin, f, append(prepare, func(s *Scheduler) {
		s.Instances()[0].log = newRation(slog.New(slog.NewTextHandler(r, nil)))
	})...)
	return r.lines()
}

const (
	died  = "signals are not believed"
	again = "signals are believed again"
)

// A name of which nobody ever heard is as dead as one that went away, if the
// operator named it or decisions want it.
func TestSignalThatNeverCameIsToldDead(t *testing.T) {
	f := func(has, mapped engine.Signals, lacks, reason, line string) {
		t.Helper()
		said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
			e.set(func(e *scripted) { e.reading.Has, e.reading.Mapped, e.reading.Lacks = has, mapped, lacks })
			time.Sleep(10 * time.Second)
			state(t, i, Healthy)
			if st := i.Status(); st.Reason != reason {
				t.Errorf("reason %q, want %q", st.Reason, reason)
			}
			for _, sig := range i.Status().Signals {
				if sig.Why == "not heard yet" {
					t.Errorf("%s is not heard yet after a hundred readings", sig.Name)
				}
			}
		})
		want := 1
		if line == "" {
			line, want = "level=WARN", 0
		}
		said.told(t, want, line)
		said.told(t, want, "level=WARN")
	}
	whole := engine.HasRunning | engine.HasWaiting | engine.HasTokens
	f(whole, 0, "", "", "") // kv_usage never came, and nobody misses it
	f(whole&^engine.HasWaiting, 0, "", "signals not believed: waiting absent", died+`; decisions do without them" signals=waiting reason=absent`)
	f(whole, engine.HasKVUsage, "mapped kv_usage=a is not on /m", "signals not believed: kv_usage absent; mapped kv_usage=a is not on /m",
		`reason="mapped kv_usage=a is not on /m"`)
	f(whole, engine.HasRunning, "mapped running=b is not on /m", "mapped running=b is not on /m", `reason="mapped running=b is not on /m"`) // one of two
	f(whole, engine.HasKVUsage, "", "signals not believed: kv_usage absent", died+`; decisions do without them" signals=kv_usage reason=absent`)
}

func TestMappedSignalThatComesLateIsBelievedAgain(t *testing.T) {
	said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
		e.set(func(e *scripted) {
			e.reading.Mapped, e.reading.Lacks = engine.HasKVUsage, "mapped kv_usage=a is not on /m"
		})
		time.Sleep(2 * time.Second)
		e.set(func(e *scripted) { e.reading.Has |= engine.HasKVUsage; e.reading.Lacks = "" })
		time.Sleep(2 * time.Second)
		state(t, i, Healthy)
		if st := i.Status(); st.Reason != "" {
			t.Errorf("reason %q", st.Reason)
		}
	})
	said.told(t, 1, "level=WARN")
	said.told(t, 1, again+`" signals=kv_usage`)
}

// A page that was never there: the reason says where it was looked for.
func TestPageThatWasNeverThereIsTheReason(t *testing.T) {
	said := keepLoggedFrom(t, func(e *scripted) { e.scrape = &engine.StatusError{Code: 404} }, func(s *Scheduler, i *Instance, e *scripted) {
		time.Sleep(20 * time.Second)
		state(t, i, Healthy)
		if st := i.Status(); st.Reason != "signals not believed: running absent, waiting absent; unexpected status 404, want 200" {
			t.Errorf("reason %q", st.Reason)
		}
		e.set(func(e *scripted) { e.scrape = nil })
		time.Sleep(10 * time.Second)
		state(t, i, Healthy)
		if st := i.Status(); st.Reason != "" {
			t.Errorf("reason %q", st.Reason)
		}
	})
	said.told(t, 1, died)
	said.told(t, 1, again+`" signals=running,waiting`)
}

// What a signal died of stays its reason, however old it grows, and the log and
// the reason name the same signals.
func TestFirstCauseOfDeathStays(t *testing.T) {
	for _, err := range []error{engine.ErrNoSignals, &engine.StatusError{Code: 404}} {
		said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
			e.set(func(e *scripted) { e.reading.Has |= engine.HasKVUsage })
			time.Sleep(time.Second)
			state(t, i, Healthy)
			e.set(func(e *scripted) { e.scrape = err })
			for range 30 {
				time.Sleep(time.Second)
				state(t, i, Healthy)
				want := "signals not believed: running absent, waiting absent, kv_usage absent, tokens absent; " + err.Error()
				if st := i.Status(); st.Reason != want {
					t.Fatalf("reason %q, want %q", st.Reason, want)
				}
			}
			e.set(func(e *scripted) { e.scrape = nil })
			time.Sleep(10 * time.Second)
		})
		said.told(t, 1, died)
		said.told(t, 1, `signals=running,waiting,kv_usage,tokens reason=absent`)
		said.told(t, 1, again+`" signals=running,waiting,kv_usage,tokens`)
	}
}

// One line when they die and one when they are back, though the instance was out
// in between: SIGSTOP, SIGCONT.
func TestSignalsThatComeBackWithTheInstanceAreToldOnce(t *testing.T) {
	said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.scrape, e.generate = engine.ErrTimeout, engine.ErrTimeout })
		r := asked(t, i, 20, true)
		time.Sleep(10 * time.Second)
		state(t, i, Ejected)
		r.End()
		if i.Status().Known != 0 {
			t.Error("an instance that is out has values")
		}
		e.set(func(e *scripted) { e.scrape, e.generate = nil, nil })
		time.Sleep(20 * time.Second)
		state(t, i, Healthy)
	})
	said.told(t, 1, died)
	said.told(t, 1, again)
	said.told(t, 1, "instance is out")
}

// An instance that is out, or asleep, has no signals: that goes without saying.
func TestSignalsOfAnInstanceThatIsOutAreNotToldDead(t *testing.T) {
	said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.down = errRefused })
		i.Failed(Refused, "")
		time.Sleep(30 * time.Second)
		state(t, i, Ejected)
		e.set(func(e *scripted) { e.down = nil })
		time.Sleep(10 * time.Second)
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.reading.Asleep, e.reading.Has = true, e.reading.Has|engine.HasSleep })
		time.Sleep(30 * time.Second)
		state(t, i, Starting)
		e.set(func(e *scripted) { e.reading.Asleep = false })
		time.Sleep(10 * time.Second)
		state(t, i, Healthy)
	})
	said.told(t, 0, "signals are")
}

// A percentage is no full engine.
func TestUsageBeyondOneIsNotBelieved(t *testing.T) {
	said := keepLogged(t, func(s *Scheduler, i *Instance, e *scripted) {
		uses := func(usage float64) {
			e.set(func(e *scripted) { e.reading.KVUsage = usage })
			time.Sleep(time.Second)
			state(t, i, Healthy)
		}
		e.set(func(e *scripted) { e.reading.Has |= engine.HasKVUsage })
		uses(23)
		believed(t, i, "kv_usage", "untrue")
		if isFull(i) {
			t.Error("it is full")
		}
		want := "signals not believed: kv_usage untrue; kv_usage 23 is beyond 1: is kv_usage_scale 0.01 missing?"
		uses(10)
		uses(0.5) // per cent
		uses(0)
		if st := i.Status(); st.Reason != want {
			t.Errorf("reason %q, want %q", st.Reason, want)
		}
		believed(t, i, "kv_usage", "untrue")
		believed(t, i, "running", "")
		i.Failed(Refused, "") // the same when it is back
		time.Sleep(10 * time.Second)
		state(t, i, Healthy)
		believed(t, i, "kv_usage", "untrue")
		e.set(func(e *scripted) { e.reading.GenerationTokens = 0 }) // it was restarted
		uses(0.5)
		believed(t, i, "kv_usage", "")
	})
	said.told(t, 1, `signals=kv_usage reason=untrue`)
	said.told(t, 1, `evidence="kv_usage 23 is beyond 1: is kv_usage_scale 0.01 missing?"`)
	said.told(t, 1, again)
}

// One value that is none takes nothing away for long.
func TestOneUsageBeyondOneIsForgotten(t *testing.T) {
	var j judge
	f := func(usage float64, want string) {
		t.Helper()
		if j.doubtUsage(&engine.Reading{KVUsage: usage}); j.impossible != want {
			t.Errorf("%v: %q, want %q", usage, j.impossible, want)
		}
	}
	f(1, "")
	f(1e300, "kv_usage 1e+300 is beyond 1") // no percentage
	f(0.5, "")
	f(1.5, "kv_usage 1.5 is beyond 1: is kv_usage_scale 0.01 missing?")
	f(3, "kv_usage 1.5 is beyond 1: is kv_usage_scale 0.01 missing?")
	f(0.5, "")
}

// What is not known is no zero, and what is frozen is no number of today.
func TestWhatIsNotKnownHasNoValue(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		f := func(known engine.Signals, running int) {
			t.Helper()
			synctest.Wait()
			if st := i.Status(); st.Known != known || st.Running != running {
				t.Errorf("known %s, running %d; want %s and %d", st.Known, st.Running, known, running)
			}
		}
		e.set(func(e *scripted) { e.scrape = errors.New("no page") })
		time.Sleep(time.Second)
		f(0, 0)
		e.set(func(e *scripted) { e.scrape = nil })
		time.Sleep(10 * time.Second)
		e.set(func(e *scripted) { e.reading.Running = 5 })
		time.Sleep(time.Second)
		f(engine.HasRunning|engine.HasWaiting, 5)
		busy(t, i, 8, 5*time.Second, nil)
		believed(t, i, "running", "frozen")
		f(0, 0)
	})
}
