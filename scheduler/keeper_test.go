package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"penstock/scheduler/engine"
)

// scripted is an engine that does as the test says, in no time.
type scripted struct {
	mu       sync.Mutex
	down     error // of everything
	health   error
	scrape   error
	generate error
	reading  engine.Reading
	took     time.Duration
	models   []engine.Model
	probes   int
	scrapes  int
	closed   bool
	inFlight bool // a call is under way
}

func (e *scripted) call() (func(), error) {
	e.mu.Lock()
	if e.inFlight {
		panic("two calls at once on one connection")
	}
	e.inFlight = true
	return func() { e.inFlight = false; e.mu.Unlock() }, e.down
}

func (e *scripted) Health(context.Context) error {
	done, err := e.call()
	defer done()
	e.probes++
	if err == nil {
		err = e.health
	}
	return err
}

func (e *scripted) Models(context.Context) ([]engine.Model, error) {
	done, err := e.call()
	defer done()
	return e.models, err
}

func (e *scripted) Scrape(_ context.Context, r *engine.Reading) error {
	done, err := e.call()
	defer done()
	e.scrapes++
	if err == nil {
		err = e.scrape
	}
	if err != nil {
		return err
	}
	*r = e.reading
	r.At, r.Took = time.Now(), e.took
	return nil
}

func (e *scripted) Generate(context.Context, string) error {
	done, err := e.call()
	defer done()
	if err == nil {
		err = e.generate
	}
	return err
}

func (e *scripted) HangUp() {}

func (e *scripted) Close() { e.closed = true }

func (e *scripted) set(f func(*scripted)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

var errRefused = fmt.Errorf("get: %w", syscall.ECONNREFUSED)

// keep runs f beside the keeper of one instance that has not been heard yet, in
// a bubble of time.
func keep(t *testing.T, f func(s *Scheduler, i *Instance, e *scripted), prepare ...func(*Scheduler)) {
	t.Helper()
	keepFrom(t, func(*scripted) {}, f, prepare...)
}

// keepFrom is keep of an engine that is something from the very beginning.
func keepFrom(t *testing.T, begin func(e *scripted), f func(s *Scheduler, i *Instance, e *scripted), prepare ...func(*Scheduler)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := DefaultConfig()
		cfg.Instances = []InstanceConfig{{URL: "http://127.0.0.1:1", Name: "a"}}
		s, err := New(cfg, quiet)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range prepare {
			p(s)
		}
		i := s.Instances()[0]
		e := &scripted{
			took: 2 * time.Millisecond, models: []engine.Model{{ID: "m"}},
			reading: engine.Reading{Kind: engine.VLLM, Has: engine.HasRunning | engine.HasWaiting | engine.HasTokens, GenerationTokens: 5},
		}
		begin(e)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			keeperOf(s, i, e).run(ctx)
			close(ended)
		}()
		f(s, i, e)
		cancel()
		<-ended
		if !e.closed {
			t.Error("the engine's connection was left open")
		}
	})
}

func state(t *testing.T, i *Instance, want State) {
	t.Helper()
	synctest.Wait()
	if got := i.State(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestEngineThatAnswersJoins(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		if m := s.Models(); len(m) != 1 || m[0].ID != "m" {
			t.Errorf("models %v", m)
		}
		if st := i.Status(); st.Engine != engine.VLLM || !st.Signals[0].Alive {
			t.Errorf("status %+v", st)
		}
	})
}

func TestEngineThatStartsLateJoinsSoon(t *testing.T) {
	keepFrom(t, func(e *scripted) { e.down = errRefused }, func(s *Scheduler, i *Instance, e *scripted) {
		i.Failed(Refused, "")
		time.Sleep(50 * time.Second)
		state(t, i, Starting)
		if i.routable() {
			t.Error("it gets requests, though it refuses them")
		}
		e.set(func(e *scripted) { e.down = nil })
		time.Sleep(200 * time.Millisecond)
		state(t, i, Healthy)
	})
}

func TestOneRefusedProbeTakesOut(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.down = errRefused })
		time.Sleep(1200 * time.Millisecond)
		state(t, i, Ejected)
	})
}

func TestSickEngineIsOutAfterTwoProbes(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.down = &engine.StatusError{Code: 503} })
		time.Sleep(3 * time.Second)
		state(t, i, Ejected)
		if st := i.Status(); !strings.HasPrefix(st.Reason, "probe: ") {
			t.Errorf("reason %q", st.Reason)
		}
	})
}

func TestEngineWithoutHealthPathIsAlive(t *testing.T) {
	keepFrom(t, func(e *scripted) { e.health = &engine.StatusError{Code: 404} }, func(s *Scheduler, i *Instance, e *scripted) {
		i.Failed(Refused, "")
		state(t, i, Healthy)
		time.Sleep(5 * time.Second)
		state(t, i, Healthy)
	})
}

// A busy engine answers its clients before it answers us: to take it out would
// put its load on others that are as busy.
func TestBusyEngineThatStreamsIsNotTakenOut(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		d := pick(t, s, ask("m"))
		d.Reservation.FirstByte(0)
		e.set(func(e *scripted) { e.health = fmt.Errorf("get: %w", engine.ErrTimeout) })
		for range 50 {
			time.Sleep(200 * time.Millisecond)
			d.Reservation.Moved(1, 0)
		}
		state(t, i, Healthy)
		time.Sleep(5 * time.Second) // nothing moves any more
		state(t, i, Ejected)
		d.Reservation.End()
	})
}

// Whatever listens on a wrong port must not get requests.
func TestWebServerThatIsNoEngineIsNotLetIn(t *testing.T) {
	unheard := func(s *Scheduler) { s.Instances()[0].Failed(Refused, "") }
	keepFrom(t, func(e *scripted) { e.down = &engine.StatusError{Code: 404} }, func(s *Scheduler, i *Instance, e *scripted) {
		time.Sleep(10 * time.Second)
		state(t, i, Starting)
		if i.routable() {
			t.Error("it gets requests")
		}
		e.set(func(e *scripted) { e.down = nil })
		time.Sleep(2 * time.Second)
		state(t, i, Healthy)
	}, unheard)
}

func TestEjectedInstanceThatIsWellIsBackAtOnce(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		i.Failed(Reset, "")
		state(t, i, Healthy) // the probe that followed went well
		if i.ramp.over() {
			t.Error("it has its whole share at once")
		}
		time.Sleep(rampFor + time.Second)
		synctest.Wait()
		if !i.ramp.over() {
			t.Error("its share is not whole after the ramp")
		}
	})
}

// An engine that answers probes and resets requests must not be tried again
// every second for ever.
func TestFlappingInstanceComesBackMoreAndMoreSlowly(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		var waits []time.Duration
		for range 8 {
			i.Failed(Reset, "")
			start := time.Now()
			for synctest.Wait(); i.State() != Healthy; synctest.Wait() {
				time.Sleep(10 * time.Millisecond)
			}
			waits = append(waits, time.Since(start))
		}
		if waits[0] > 0 || waits[1] < 900*time.Millisecond || waits[4] < 7*time.Second || waits[7] < 25*time.Second || waits[7] > 40*time.Second {
			t.Errorf("back after %v", waits)
		}
		i.Succeeded() // one good answer proves little
		time.Sleep(rampFor + time.Second)
		i.Failed(Reset, "")
		state(t, i, Healthy)
	})
}

// An engine whose /health is good and whose answers are not: a probe must not
// undo its ejection within a millisecond.
func TestInstanceThatFailsItsRequestsStaysOutUntilItServes(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.generate = &engine.StatusError{Code: 503} })
		fail := func() {
			for range failuresInRow {
				i.Failed(BadStatus, "it answered 503")
				synctest.Wait()
			}
		}
		fail()
		if state(t, i, Ejected); i.Status().Reason != "3 requests failed in a row: it answered 503" {
			t.Errorf("reason %q", i.Status().Reason)
		}
		time.Sleep(10 * time.Second)
		state(t, i, Ejected)
		e.set(func(e *scripted) { e.generate = nil })
		time.Sleep(1200 * time.Millisecond)
		state(t, i, Healthy)
		fail() // so it serves us, and not others
		time.Sleep(1500 * time.Millisecond)
		state(t, i, Ejected)
		time.Sleep(time.Second)
		state(t, i, Healthy)
	})
}

func TestDrainingInstanceSaysThatItIsOutToo(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		s.Drain("a", true)
		e.set(func(e *scripted) { e.down = errRefused })
		i.Failed(Refused, "connection refused")
		state(t, i, Draining)
		if st := i.Status(); st.Reason != "the operator drains it; it is out as well: connection refused" {
			t.Errorf("reason %q", st.Reason)
		}
		e.set(func(e *scripted) { e.down = nil })
		time.Sleep(2 * time.Second)
		s.Drain("a", false)
		state(t, i, Healthy)
		var chain []State
		for _, c := range i.Status().Changes {
			chain = append(chain, c.From, c.To)
		}
		if want := []State{Starting, Healthy, Healthy, Draining, Draining, Healthy}; !slices.Equal(chain, want) {
			t.Errorf("changes %v", chain)
		}
	})
}

func TestScrapeOutageStopsNothing(t *testing.T) {
	keepFrom(t, func(e *scripted) { e.reading.Waiting = 5 }, func(s *Scheduler, i *Instance, e *scripted) {
		time.Sleep(time.Second)
		synctest.Wait()
		if !isFull(i) {
			t.Fatal("not full with five waiting")
		}
		e.set(func(e *scripted) { e.scrape = errors.New("no page") })
		time.Sleep(20 * time.Second)
		state(t, i, Healthy)
		if isFull(i) {
			t.Error("a report from before the outage still fills it")
		}
		d := s.Pick(ask("m"))
		if d.Verdict != Picked || d.Degraded != "waiting,running" && d.Degraded != "running,waiting" {
			t.Errorf("got %+v", d)
		}
		d.Reservation.End()
		var scrapes int
		e.set(func(e *scripted) { scrapes = e.scrapes })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		e.set(func(e *scripted) { scrapes = e.scrapes - scrapes })
		if n := scrapes; n > 4 {
			t.Errorf("%d more scrapes in 10 s of outage: no back-off", n)
		}
		e.set(func(e *scripted) { e.scrape = nil; e.reading.Waiting = 6 })
		for range 60 {
			if time.Sleep(100 * time.Millisecond); isFull(i) {
				return
			}
		}
		t.Error("the metrics came back unnoticed")
	})
}

func TestScrapesCostTheEngineAFiftieth(t *testing.T) {
	count := func(took time.Duration) (n int) {
		keepFrom(t, func(e *scripted) { e.took = took }, func(s *Scheduler, i *Instance, e *scripted) {
			time.Sleep(20 * time.Second)
			synctest.Wait()
			e.set(func(e *scripted) { e.scrapes = 0 })
			time.Sleep(100 * time.Second)
			synctest.Wait()
			e.set(func(e *scripted) { n = e.scrapes })
		})
		return n
	}
	for took, want := range map[time.Duration]int{
		time.Millisecond:       1000, // at most every 100 ms
		18 * time.Millisecond:  111,
		400 * time.Millisecond: 20, // at least every 5 s
	} {
		if n := count(took); n < want*8/10 || n > want*12/10 {
			t.Errorf("a scrape of %v: %d in 100 s, want about %d", took, n, want)
		}
	}
}

func TestRestartedEngineIsAskedForItsModels(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) {
			e.models = []engine.Model{{ID: "new"}}
			e.reading.GenerationTokens = 0
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if m := s.Models(); len(m) != 1 || m[0].ID != "new" {
			t.Errorf("models %v", m)
		}
	})
}

// A 70B model loads for minutes.
func TestInstanceThatLoadedForLongJoinsAtOnce(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.health = engine.ErrLoading })
		time.Sleep(20 * time.Minute)
		state(t, i, Starting)
		e.set(func(e *scripted) { e.health = nil })
		time.Sleep(200 * time.Millisecond)
		state(t, i, Healthy)
	})
}

func TestManyThatAreWaitedForAreLookedAtLessOften(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		s.fleet.absent.Add(500)
		e.set(func(e *scripted) { e.down = errRefused })
		time.Sleep(10 * time.Second)
		var probes int
		e.set(func(e *scripted) { probes = e.probes })
		time.Sleep(10 * time.Second)
		e.set(func(e *scripted) { probes = e.probes - probes })
		if probes < 18 || probes > 23 { // every 500 ms
			t.Errorf("%d probes in 10 s", probes)
		}
	})
}

func TestInstanceThatIsBackWithoutAModelStarts(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.down = errRefused })
		i.Failed(Refused, "")
		time.Sleep(5 * time.Second)
		state(t, i, Ejected)
		e.set(func(e *scripted) { e.down = nil; e.models = []engine.Model{} })
		time.Sleep(3 * time.Second)
		state(t, i, Starting)
		if s.fleet.out.Load() != 0 || s.fleet.size.Load() != 0 {
			t.Errorf("%d of %d are out", s.fleet.out.Load(), s.fleet.size.Load())
		}
	})
}
