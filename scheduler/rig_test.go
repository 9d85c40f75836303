package scheduler

import (
	"io"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"penstock/scheduler/engine"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// fleetOf makes a scheduler of n healthy instances that serve the model m, named
// a, b, c … There is no engine behind them: the test reports for them.
func fleetOf(t testing.TB, n int, policy string, change ...func(*Config)) *Scheduler {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Policy = policy
	for i := range n {
		cfg.Instances = append(cfg.Instances, InstanceConfig{URL: "http://127.0.0.1:" + strconv.Itoa(1000+i), Name: name(i)})
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := New(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range s.Instances() {
		i.models.Store(&[]engine.Model{{ID: "m", MaxLen: 4096}})
		i.recovered()
	}
	s.republish()
	return s
}

func name(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return "i" + strconv.Itoa(i)
}

// says reports running and waiting requests for the instance.
func (i *Instance) says(running, waiting int, more ...func(*engine.Reading)) {
	r := engine.Reading{
		At: time.Now(), Kind: engine.VLLM, Running: float64(running), Waiting: float64(waiting),
		Has: engine.HasRunning | engine.HasWaiting | engine.HasKVUsage | engine.HasTokens, KVUsage: 0.1,
	}
	for _, f := range more {
		f(&r)
	}
	i.report(&r, i.row.inFlight.Load(), i.row.ended.Load())
	i.said.live.Store(uint32(r.Has))
	for n := range i.signals {
		i.signals[n].death.Store(alive)
	}
}

// isFull says whether the instance takes no more, as it is now.
func isFull(i *Instance) bool { return i.full(i.load(0)) }

var chance uint64

// ask makes a query with a chance of its own.
func ask(model string) *Query {
	chance = next(chance)
	return &Query{Model: model, PromptTokens: 100, MaxTokens: 50, Rand: chance}
}

// pick wants a decision for an instance.
func pick(t testing.TB, s *Scheduler, q *Query) Decision {
	t.Helper()
	d := s.Pick(q)
	if d.Verdict != Picked {
		t.Fatalf("verdict %d, want an instance", d.Verdict)
	}
	return d
}

// shares picks n times, without ending anything before the last, and returns
// how many requests each instance got.
func shares(t testing.TB, s *Scheduler, n int) []int {
	t.Helper()
	got := make([]int, len(s.Instances()))
	var held []Decision
	for range n {
		d := pick(t, s, ask("m"))
		got[index(s, d.Instance)]++
		held = append(held, d)
	}
	for k := range held {
		held[k].Reservation.End()
	}
	return got
}

// index is where the instance stands in the fleet.
func index(s *Scheduler, i *Instance) int { return slices.Index(s.Instances(), i) }

// reserve gives a request a place on the instance without asking a policy.
func (i *Instance) reserve(q *Query) (Reservation, bool) {
	s, err := New(DefaultConfig(), quiet)
	if err != nil {
		panic(err)
	}
	return s.reserve(new(scratch), &candidate{inst: i}, q)
}
