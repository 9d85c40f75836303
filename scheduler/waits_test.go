package scheduler

import (
	"fmt"
	"slices"
	"testing"

	"penstock/scheduler/engine"
)

// sec is a second on the clock of Query.Now.
const sec = int64(1e9)

// One larger than the room that others leave waits, and they do not.
func TestOneTooLargeForTheCacheHoldsUpNobodyElse(t *testing.T) {
	s := speeds(t, fast, fast)
	for _, i := range s.Instances() { // 2 requests of another gateway's, 10% of the cache
		i.says(2, 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens, r.Limit = 0.1, 100_000, 256 })
	}
	l := NewLine[string](s)
	qs := map[string]*Query{}
	add := func(name string, key, tokens int, now int64) {
		q := prompt(name, tokens)
		q.Key, q.Now = key, now
		qs[name] = q
		l.Add(name, q, now)
	}
	now := int64(1) * sec
	add("giant", 1, 120_000, now) // e.g. 480 kB of JSON
	for n := range 10 {
		add(fmt.Sprint("small", n), 2, 100, now)
	}
	s.service.charge(2, 100) // the others were served a little
	placed := 0
	for range 600 { // ten minutes
		now += sec
		l.Serve(now, func(name string) (Decision, bool) {
			q := qs[name]
			q.Now, q.Rand = now, next(uint64(now))
			d := s.Pick(q)
			if d.Verdict == Full {
				return d, false
			}
			placed++
			d.Reservation.FirstByte(now)
			d.Reservation.End()
			return d, true
		})
	}
	if placed < 10 {
		t.Errorf("in 10 minutes %d of 11 requests were placed; both instances are at 10%% of their KV cache", placed)
	}
}

// It fits an empty cache, which is to be had when all streams are over.
func TestOneThatNeedsAWholeCacheHoldsUpNobodyElse(t *testing.T) {
	s := speeds(t, fast, fast)
	tell := func() {
		for _, i := range s.Instances() {
			i.says(int(i.row.inFlight.Load()), 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens, r.Limit = 0.1, 100_000, 256 })
		}
	}
	for n := range 8 { // 4 streams on each, that go on for two minutes
		q := prompt(fmt.Sprint("old", n), 500)
		q.Only = s.Instances()[n%2]
		q.Eager = true
		d := pick(t, s, q)
		d.Reservation.FirstByte(1)
	}
	tell()
	l := NewLine[string](s)
	qs := map[string]*Query{}
	for n, tokens := range []int{95_000, 100, 100, 100} { // fits an empty cache
		name := fmt.Sprint("r", n)
		q := prompt(name, tokens)
		q.Key = min(n, 1)
		qs[name] = q
		l.Add(name, q, 0)
	}
	placed := 0
	for now := sec; now < 120*sec; now += sec {
		l.Serve(now, func(name string) (Decision, bool) {
			q := qs[name]
			q.Now, q.Rand = now, next(uint64(now))
			d := s.Pick(q)
			if d.Verdict == Picked {
				placed++
			}
			return d, d.Verdict == Picked
		})
	}
	if placed == 0 {
		t.Error("in two minutes none of three requests of 100 tokens was placed, on instances whose caches are 90 % empty")
	}
}

// A full one that has the prompt is worth a wait, as long as it is one.
func TestNobodyIsHeldForEverForAFullInstance(t *testing.T) {
	s := speeds(t, fast, fast)
	a, b := s.Instances()[0], s.Instances()[1]
	q := prompt("x", 32_000)
	q.Only, q.Now = a, 0
	d := pick(t, s, q)
	d.Reservation.FirstByte(sec)
	d.Reservation.End()
	q = prompt("x", 32_000)
	for n := int64(2); n <= 3600; n += 60 {
		// one long job of somebody else's keeps a's KV cache at 99 %
		a.says(1, 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens = 0.99, 1_000_000 })
		b.says(0, 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens = 0, 1_000_000 })
		q.Now, q.Held = n*sec, 2*sec
		if d = s.Pick(q); d.Verdict == Picked {
			d.Reservation.End()
			return
		}
	}
	t.Errorf("after an hour still held for %s, which is full; %s is idle and would take 6.4 s (Saturated=%v)", d.Instance.Name, b.Name, d.Saturated)
}

func TestNobodyWaitsByPredictionsThatAreBad(t *testing.T) {
	s := speeds(t, fast, fast)
	a, b := s.Instances()[0], s.Instances()[1]
	for range 200 {
		s.ttftErrors.Note(1, 100)
	}
	a.says(1, 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens = 0.99, 100_000 })
	b.says(2, 0, func(r *engine.Reading) { r.KVUsage, r.KVCapacityTokens = 0.1, 100_000 })
	for n := range 3 { // a few streams of b's: more tokens than one of others
		q := prompt(fmt.Sprint("p", n), 1000)
		q.Only, q.MaxTokens = b, 2000
		d := pick(t, s, q)
		d.Reservation.FirstByte(1)
	}
	q := prompt("q", 1000)
	for n := range 100 {
		q.Now = int64(n) * 60 * sec
		if d := s.Pick(q); d.Verdict == Picked {
			return
		} else if n == 99 {
			t.Errorf("held for 100 minutes for %s, which is full (degraded %q, %s); %s has a tenth of its cache in use", d.Instance.Name, d.Degraded, d.Reason, b.Name)
		}
	}
}

// An address behind which eight engines compute prompts side by side (vLLM
// --data-parallel-size 8, or a router of its own) gets as many.
func TestPromptsSideBySideAreGivenToWhoComputesThemSo(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := fleetOf(t, 2, "predictive", func(c *Config) { c.Late = late })
		for _, i := range s.Instances() {
			i.says(0, 0, func(r *engine.Reading) { r.KVCapacityTokens, r.KVUsage, r.Limit = 8_000_000, 0.1, 1024 })
		}
		type run struct {
			q           *Query
			r           Reservation
			first, next int64
			told        int
		}
		slots := map[*Instance][]int64{}
		for _, i := range s.Instances() {
			slots[i] = make([]int64, 8)
		}
		l := NewLine[*run](s)
		var open []*run
		var ttfts []float64
		give := func(r *run, d Decision, now int64) {
			r.r = d.Reservation
			free := slots[d.Instance]
			k := slices.Index(free, slices.Min(free))
			tokens := float64(r.q.PromptTokens)
			free[k] = max(free[k], now) + int64((0.01+0.0002*tokens)*1e9)
			r.first = free[k]
			r.next = r.first + 16*20e6
			ttfts = append(ttfts, seconds(r.first-r.q.Arrived))
			open = append(open, r)
		}
		n := 0
		for now := int64(0); now < 300*sec; now += 2e6 {
			if now%(sec/20) == 0 { // 20/s of 2,100 tokens: 55 % of what the 16 can
				n++
				q := prompt(fmt.Sprint("p", n), 200+int(next(uint64(n))%3800))
				q.Now, q.Arrived, q.MaxTokens = now, now, 64
				r := &run{q: q}
				if d := s.Pick(q); l.Len() == 0 && d.Verdict == Picked {
					give(r, d, now)
				} else {
					d.Reservation.End()
					l.Add(r, q, now)
				}
			}
			keep := open[:0]
			for _, r := range open {
				if r.first > 0 && now >= r.first {
					r.r.FirstByte(now)
					r.first = 0
				}
				if r.first == 0 && now >= r.next {
					r.r.Tokens(16, now)
					r.told += 16
					r.next += 16 * 20e6
				}
				if r.told >= 64 {
					r.r.End()
				} else {
					keep = append(keep, r)
				}
			}
			open = keep
			if now%20e6 == 0 && l.Len() > 0 {
				l.Serve(now, func(r *run) (Decision, bool) {
					r.q.Now, r.q.Rand = now, next(uint64(now))
					d := s.Pick(r.q)
					if d.Verdict == Picked {
						give(r, d, now)
					}
					return d, d.Verdict == Picked
				})
			}
		}
		slices.Sort(ttfts)
		t.Logf("late binding %v: %d of %d begun in 300 s, %d held; TTFT p50 %.2f s, p99 %.2f s; %+v", late, len(ttfts), n, l.Len(), ttfts[len(ttfts)/2], ttfts[len(ttfts)*99/100], *s.Instances()[0].rates.Load())
		if late && ttfts[len(ttfts)*99/100] > 2 {
			t.Errorf("%d are held for engines that are not busy, and one of a hundred waits for %.1f s", l.Len(), ttfts[len(ttfts)*99/100])
		}
	}
}
