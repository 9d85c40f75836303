package scheduler

import (
	"math"
	"testing"

	"penstock/scheduler/engine"
	"penstock/scheduler/predict"
	"penstock/scheduler/prefix"
)

// speeds makes instances whose speeds are known.
func speeds(t testing.TB, rates ...predict.Rates) *Scheduler {
	s := fleetOf(t, len(rates), "predictive")
	for n, i := range s.Instances() {
		i.begin(&rates[n])
		i.says(0, 0)
	}
	return s
}

var (
	fast = predict.Rates{Overhead: 0.03, Token: 0.0002, Ahead: 0.0002, Step: 0.01, Answer: 10e-6, Context: 39e-9}
	slow = predict.Rates{Overhead: 0.03, Token: 0.002, Ahead: 0.002, Step: 0.05, Answer: 10e-6, Context: 39e-9}
)

// prompt is a query of so many tokens of a text.
func prompt(text string, tokens int) *Query {
	q := ask("m")
	q.PromptTokens, q.Stream, q.BlockTokens = tokens, true, 64
	last := prefix.Seed(text)
	for range tokens / q.BlockTokens {
		last = prefix.Fine(next(last)) | 1
		q.Prefix = append(q.Prefix, last)
	}
	return q
}

func TestPredictiveTakesTheFasterOfTwo(t *testing.T) {
	s := speeds(t, slow, fast)
	for range 20 {
		d := pick(t, s, prompt("x", 1000))
		if index(s, d.Instance) != 1 {
			t.Fatalf("%s: %s", d.Instance.Name, d.Reason)
		}
		if want := 0.03 + 0.2; math.Abs(d.TTFT-want) > 0.001 {
			t.Errorf("predicted %v s, want %v", d.TTFT, want)
		}
		d.Reservation.End()
	}
}

func TestPredictiveGoesWhereThePromptIs(t *testing.T) {
	s := speeds(t, fast, fast, fast, fast)
	first := pick(t, s, prompt("x", 4000))
	first.Reservation.FirstByte(1)
	first.Reservation.End()
	for range 20 {
		d := pick(t, s, prompt("x", 4000))
		if d.Instance != first.Instance {
			t.Fatalf("%s, and %s has the prompt: %s", d.Instance.Name, first.Instance.Name, d.Reason)
		}
		if got := d.Reservation.Believed(); got < 3900 {
			t.Errorf("%d of 4000 tokens believed to be cached", got)
		}
		d.Reservation.End()
	}
}

// A hot prefix is no reason to queue for as long as another takes to compute it.
func TestPredictiveLeavesAHotInstance(t *testing.T) {
	s := speeds(t, fast, fast)
	warm := pick(t, s, prompt("x", 1000))
	warm.Reservation.FirstByte(1)
	warm.Reservation.End()
	for n := range 3 { // it has much to compute now
		q := prompt(string(rune('a'+n)), 8000)
		q.Only = warm.Instance
		q.Eager = true
		pick(t, s, q)
	}
	d := pick(t, s, prompt("x", 1000))
	if d.Instance == warm.Instance {
		t.Errorf("queued behind 24000 tokens to save 1000: %s", d.Reason)
	}
}

func TestPredictiveHoldsWhatOnlyQueuesInside(t *testing.T) {
	s := speeds(t, fast, fast)
	var placed []Decision
	for n := range 4 { // one under way and one ahead on each
		placed = append(placed, pick(t, s, prompt(string(rune('a'+n)), 8000)))
	}
	if d := s.Pick(prompt("y", 8000)); d.Verdict != Full || !d.Saturated {
		t.Fatalf("verdict %v: it would only queue in an engine", d.Verdict)
	}
	eager := prompt("y", 8000)
	eager.Eager = true
	d := s.Pick(eager)
	if d.Verdict != Picked {
		t.Errorf("verdict %v, and it cannot be held", d.Verdict)
	}
	d.Reservation.End()
	rung := 0
	s.OnFree(func() { rung++ })
	for n := range placed {
		if placed[n].Instance == placed[0].Instance {
			placed[n].Reservation.FirstByte(int64(n+1) * 16e8)
		}
	}
	if rung == 0 {
		t.Error("nobody heard that a prompt is done")
	}
	q := prompt("z", 100)
	q.Now = 64e8
	if d := s.Pick(q); d.Verdict != Picked || d.Instance != placed[0].Instance {
		t.Errorf("verdict %v for %s, and %s waits for work", d.Verdict, d.Instance.Name, placed[0].Instance.Name)
	}
}

func TestPredictiveWaitsForRoomInTheCache(t *testing.T) {
	s := speeds(t, fast, fast)
	for n, usage := range []float64{0.97, 0.5} {
		s.Instances()[n].says(10, 0, func(r *engine.Reading) {
			r.KVUsage, r.KVCapacityTokens, r.Has = usage, 10_000, r.Has|engine.HasCapacity
		})
	}
	d := pick(t, s, prompt("x", 3000))
	if index(s, d.Instance) != 1 {
		t.Error("it would not fit into the cache there")
	}
	q := prompt("x", 3000)
	q.Only = s.Instances()[0]
	if d = s.Pick(q); d.Verdict != Full {
		t.Errorf("verdict %v: the engine would have to preempt", d.Verdict)
	}
}

func TestPredictiveStepsDownWhereItPredictsBadly(t *testing.T) {
	s := speeds(t, fast, fast)
	for n := range 200 {
		s.ttftErrors.Note(float64(1+n%2*100), float64(1+(n+1)%2*100))
	}
	d := pick(t, s, prompt("x", 100))
	if d.Degraded != "prediction" || d.Reason != "fewest tokens" {
		t.Errorf("degraded %q, reason %q", d.Degraded, d.Reason)
	}
	for range 2000 {
		s.ttftErrors.Note(1, 1)
	}
	if d = pick(t, s, prompt("x", 100)); d.Degraded != "" {
		t.Errorf("degraded %q: it predicts well again", d.Degraded)
	}
}

func TestAnEngineThatCachesNothingIsNotBelievedTo(t *testing.T) {
	s := speeds(t, fast)
	i := s.Instances()[0]
	queries := 0
	for range 20 {
		d := pick(t, s, prompt("x", 4000))
		d.Reservation.FirstByte(1)
		d.Reservation.End()
		queries += 4000
		i.compare(&engine.Reading{Has: engine.HasPrefix, PrefixQueries: uint64(queries)})
	}
	d := pick(t, s, prompt("x", 4000))
	if got := d.Reservation.Believed(); got > 400 {
		t.Errorf("%d of 4000 tokens are believed to be cached", got)
	}
	for range 120 { // a new version caches
		d.Reservation.Cached(3936)
		d.Reservation.End()
		d = pick(t, s, prompt("x", 4000))
	}
	if got := d.Reservation.Believed(); got < 3500 {
		t.Errorf("%d of 4000 tokens are believed to be cached", got)
	}
}

func TestAFailedRequestLeavesNoPrompt(t *testing.T) {
	s := speeds(t, fast)
	d := pick(t, s, prompt("x", 4000))
	d.Reservation.End() // before a byte
	if n := s.cached.Len(s.Instances()[0].slot); n != 0 {
		t.Errorf("%d blocks are believed to be cached", n)
	}
	if w := &s.Instances()[0].row.work; w.fresh.Load() != 0 || w.prompts.Load() != 0 || w.answers.Load() != 0 || w.context.Load() != 0 || w.kept.Load() != 0 {
		t.Error("something is left in the account")
	}
}

func TestAccountIsEvenAfterEveryKindOfRequest(t *testing.T) {
	s := speeds(t, fast)
	for _, stream := range []bool{true, false} {
		for _, begun := range []bool{true, false} {
			q := prompt("x", 1000)
			q.Stream, q.Eager = stream, true
			d := pick(t, s, q)
			if begun {
				d.Reservation.FirstByte(5)
				d.Reservation.Tokens(17, 9)
			}
			d.Reservation.End()
		}
	}
	w := &s.Instances()[0].row.work
	if w.fresh.Load() != 0 || w.prompts.Load() != 0 || w.answers.Load() != 0 || w.context.Load() != 0 || w.kept.Load() != 0 {
		t.Errorf("fresh %d, prompts %d, answers %d, context %d, kept %d", w.fresh.Load(), w.prompts.Load(), w.answers.Load(), w.context.Load(), w.kept.Load())
	}
}

func TestRateIsPerSecond(t *testing.T) {
	var r rate
	for n := range int64(3000) {
		r.add(1, n*10_000_000) // 100 a second for 30 s
	}
	if got := counted(&r, momentOf(30_000_000_000)); math.Abs(got-100) > 2 {
		t.Errorf("%v", got)
	}
	if got := counted(&r, momentOf(60_000_000_000)); got != 0 {
		t.Errorf("%v long after the last", got)
	}
	if got := counted(&r, momentOf(30_000_000_000+rateOver)); got <= 0 || got >= 100 {
		t.Errorf("%v a while after the last", got)
	}
}

// An engine that was slow once is asked again, though others are faster: it may
// be slow no more.
func TestASlowInstanceIsTriedAgain(t *testing.T) {
	s := speeds(t, fast, fast)
	tired := s.Instances()[1]
	now := int64(1e9)
	serve := func(d Decision, took int64) {
		now += took
		d.Reservation.FirstByte(now)
		d.Reservation.End()
	}
	for n := range 80 {
		q := prompt(string(rune(1000+n)), 1000)
		q.Only, q.Now = s.Instances()[n%2], now
		serve(pick(t, s, q), []int64{240e6, 5e9}[n%2])
	}
	for n := range 2000 {
		q := prompt(string(rune('a'+n)), 1000)
		q.Now = now
		d := pick(t, s, q)
		if d.Instance == tired {
			if n < 20 {
				t.Errorf("the slow one got request %d", n)
			}
			return
		}
		serve(d, 240e6)
	}
	t.Error("the slow one is never asked again")
}

// An idle fleet of equals is not left to the first that is known.
func TestEqualsGetEqualShares(t *testing.T) {
	s := fleetOf(t, 4, "predictive")
	for _, i := range s.Instances() {
		i.says(0, 0)
	}
	got, now := map[*Instance]int{}, int64(1e9)
	for n := range 400 {
		q := prompt(string(rune(1000+n)), 1000)
		q.Now = now
		d := pick(t, s, q)
		got[d.Instance]++
		now += 240e6 + int64(q.Rand%40)*1e6 // as quick as one another, nearly
		d.Reservation.FirstByte(now)
		d.Reservation.End()
	}
	for i, n := range got {
		if n < 50 || n > 150 {
			t.Errorf("%s got %d of 400", i.Name, n)
		}
	}
}

// Who leaves before the first byte has had its prompt computed, most likely.
func TestLeavingIsNotFree(t *testing.T) {
	for _, left := range []bool{false, true} {
		s := speeds(t, fast)
		q := prompt("x", 50_000)
		q.Key = 7
		d := pick(t, s, q)
		if left {
			d.Reservation.Leave()
		}
		d.Reservation.End()
		if got := s.service.of(7); (got != 0) != left {
			t.Errorf("left %v: charged %d", left, got)
		}
	}
}

// Where prompts come again, a long queue before one that is cached is worth more:
// to compute it elsewhere takes the place of what will be asked for.
func TestPredictiveSparesCachesWherePromptsComeAgain(t *testing.T) {
	f := func(again bool) (index int) {
		s := speeds(t, fast, fast)
		home := s.Instances()[0]
		for n := range 9 {
			q := prompt("some", 8192)
			if !again && n > 0 {
				q = prompt(string(rune('a'+n)), 8192)
			}
			q.Only = home
			d := pick(t, s, q)
			d.Reservation.FirstByte(int64(n))
			d.Reservation.End()
		}
		other := &s.Instances()[1].row.work // it serves the same load
		other.began(home.row.work.computed.Load(), home.row.work.found.Load())
		busy := prompt("busy", 11_000)
		busy.Only, busy.Eager, busy.Now = home, true, 100e9
		pick(t, s, busy)
		q := prompt("some", 8192)
		q.Now, q.Eager = 100e9, true
		d := pick(t, s, q)
		if d.Instance == home {
			return 0
		}
		return 1
	}
	if got := f(true); got != 0 {
		t.Error("the prompt was computed again, and takes the place of others that come again")
	}
	if got := f(false); got != 1 {
		t.Error("nothing comes again, and the queue was taken")
	}
}
