package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"penstock/bench/model"
	"penstock/bench/workload"
	"penstock/scheduler"
)

func TestSameSeedSameRun(t *testing.T) {
	for _, policy := range scheduler.Policies() {
		cfg := configOf(t, "one", 20, func(c *Config) { c.Policy, c.Gateways = policy, 3 })
		a, b := do(t, cfg), do(t, cfg)
		if !slices.Equal(a.Samples, b.Samples) || !slices.Equal(a.Busy, b.Busy) || a.Events != b.Events {
			t.Errorf("%s: two runs of the same seed differ", policy)
		}
		cfg.Params.Seed++
		if c := do(t, cfg); slices.Equal(a.Samples, c.Samples) {
			t.Errorf("%s: another seed gives the same run", policy)
		}
	}
}

// Every request ends once: it is answered whole, or rejected, or refused.
func TestEveryRequestEndsOnce(t *testing.T) {
	f := func(name string, rate float64, change func(*Config)) Row {
		t.Helper()
		cfg := configOf(t, name, rate, change)
		wanted, tokens := 0, int64(0)
		w := cfg.Workload
		for s, q := w.Open(cfg.Params), (*workload.Request)(nil); ; wanted++ {
			if q = s(); q == nil {
				break
			}
			tokens += int64(q.Output)
		}
		res := do(t, cfg)
		row := res.Row(&cfg)
		if len(res.Samples) != wanted || row.Requests != wanted || row.Completed+row.Rejected+row.Failed != wanted {
			t.Errorf("%s: %d requests, %d ended: %d completed, %d rejected, %d failed", name, wanted, len(res.Samples), row.Completed, row.Rejected, row.Failed)
		}
		var got int64
		for _, s := range res.Samples {
			got += int64(s.Output)
			if s.Outcome == Completed && (s.TTFT <= 0 || s.E2E < s.TTFT || s.Instance < 0 || s.Cached >= s.Prompt) {
				t.Fatalf("%s: %+v", name, s)
			}
		}
		if row.Rejected+row.Failed == 0 && got != tokens {
			t.Errorf("%s: %d tokens, want %d", name, got, tokens)
		}
		return row
	}
	few := func(c *Config) { c.Params.Duration = time.Minute }
	f("w12", 8, few)
	if row := f("w12", 30, func(c *Config) { few(c); c.Queue = 10 }); row.Rejected == 0 {
		t.Error("a line of 10 rejected nobody at twice the load")
	}
	if row := f("no-sharing", 5, func(c *Config) { few(c); c.Profiles = []model.Profile{profile(t, "7b-a10")} }); row.Failed == 0 {
		t.Error("an engine took more than its context")
	}
	f("large", 300, func(c *Config) { c.Params.Duration, c.Gateways = 10*time.Second, 4 })
}

func TestIdleFleetIsTheProfilesFormula(t *testing.T) {
	for _, name := range model.Profiles() {
		p := profile(t, name)
		cfg := configOf(t, "w12", 1, func(c *Config) { c.Profiles, c.ScrapeCost = []model.Profile{p}, 0 })
		res := scripted(t, cfg, ask(time.Second, 1, 1000, 2), ask(time.Minute, 2, 300, 1))
		for _, s := range res.Samples {
			if want := p.Overhead + time.Duration(s.Prompt)*p.PrefillToken + 2*cfg.Delay; s.TTFT != want {
				t.Errorf("%s: the first token of a prompt of %d after %v, want %v", name, s.Prompt, s.TTFT, want)
			}
		}
		if want := p.Decode + p.DecodeSeq + 1000*p.DecodeKV; res.Samples[0].TPOT != want {
			t.Errorf("%s: %v a token, want %v", name, res.Samples[0].TPOT, want)
		}
	}
}

// A second prompt that begins alike costs only what is new, on the same engine.
func TestPrefixHitSavesItsTime(t *testing.T) {
	cfg := configOf(t, "w12", 1, func(c *Config) {
		c.Profiles, c.Instances, c.ScrapeCost = []model.Profile{profile(t, "8b-h100")}, 1, 0
	})
	first := ask(0, 1, 1000, 24)
	next := ask(time.Minute, 1, 1000, 1)
	next.Prompt = append(next.Prompt, workload.Span{Text: first.Answer, Tokens: 24}, workload.Span{Text: 77, Tokens: 76})
	next.Tokens = 1100
	res := scripted(t, cfg, first, next)
	p := cfg.Profiles[0]
	// 63 blocks of 16: 1000 of the prompt, 8 of the answer; the last 16 tokens of
	// it are a block too, but for the last, which was never computed.
	if s := res.Samples[1]; s.Cached != 1008 || s.TTFT != p.Overhead+92*p.PrefillToken+2*cfg.Delay {
		t.Errorf("%d of 1100 tokens cached, the first token after %v", s.Cached, s.TTFT)
	}
}

// What one gateway sends is not known to the other until it reads the metrics.
func TestOtherGatewaysLoadIsSeenWithTheScrape(t *testing.T) {
	cfg := configOf(t, "w12", 1, func(c *Config) {
		c.Policy, c.Instances, c.Gateways, c.ScrapeEvery, c.ScrapeCost = "least-request", 2, 2, time.Second, 0
	})
	for seed := range uint64(10) {
		cfg.Params.Seed = seed
		r, err := begin(cfg)
		if err != nil {
			t.Fatal(err)
		}
		// The first gateway gives one instance three long requests.
		for n := range 3 {
			c := r.calls.of(ask(0, uint64(n+1), 100, 1000))
			c.query.Only = r.gateways[0].all[1]
			r.live++
			if r.place(r.gateways[0], c).Verdict != scheduler.Picked {
				t.Fatal("no place")
			}
		}
		choice := func() (hot int) {
			for n := range 8 {
				c := r.calls.of(ask(0, uint64(100+n), 100, 1))
				if r.place(r.gateways[1], c); c.inst == 1 {
					hot++
				}
				c.place.End()
			}
			return hot
		}
		if choice()+choice() == 0 {
			t.Errorf("seed %d: the second gateway avoids what it cannot know of", seed)
		}
		// All three are in the batch after their overhead and a step.
		for r.now < 2200*time.Millisecond {
			r.next()
		}
		if hot := choice(); hot > 0 {
			t.Errorf("seed %d: %d of 8 went to the busy instance after a scrape", seed, hot)
		}
	}
}

func TestStagesWait(t *testing.T) {
	cfg := configOf(t, "w12", 1)
	second := ask(time.Second, 2, 100, 1)
	second.Stage = true
	res := scripted(t, cfg, ask(0, 1, 100, 500), second)
	if ended := res.Samples[0].Arrived + res.Samples[0].E2E; res.Samples[1].Arrived != ended+time.Second {
		t.Errorf("the second stage's came at %v, want a second after %v", res.Samples[1].Arrived, ended)
	}
}

func TestScrapesCostTime(t *testing.T) {
	f := func(cost time.Duration) time.Duration {
		cfg := configOf(t, "w12", 8, func(c *Config) { c.Params.Duration, c.ScrapeCost = time.Minute, cost })
		row := do(t, cfg).Row(&cfg)
		return time.Duration(row.TPOT.Mean * 1e6)
	}
	if free, dear := f(0), f(20*time.Millisecond); float64(dear) < 1.15*float64(free) {
		t.Errorf("%v a token without, %v where a fifth of the time is the scraper's", free, dear)
	}
}

// An idle engine has the time for scrapes: they are not saved up for who comes
// next. One that is under way holds him up.
func TestIdleEnginesAnswerScrapesInTheirOwnTime(t *testing.T) {
	cfg := configOf(t, "w12", 1, func(c *Config) { c.Instances, c.Profiles = 1, []model.Profile{profile(t, "8b-h100")} })
	res := scripted(t, cfg, ask(0, 1, 100, 20), ask(600*time.Second, 2, 100, 20))
	p := cfg.Profiles[0]
	idle := p.Overhead + 100*p.PrefillToken + 2*cfg.Delay
	for _, s := range res.Samples {
		if s.TTFT < idle || s.TTFT > idle+cfg.ScrapeCost {
			t.Errorf("the first token of one that came at %v after %v, want %v and one scrape more at most", s.Arrived, s.TTFT, idle)
		}
	}
	i := new(instance)
	i.interrupt(5, 3)
	i.interrupt(6, 3)
	if i.until != 11 {
		t.Errorf("two scrapes of 3, at 5 and at 6, last until %v, want 11", int64(i.until))
	}
	if i.interrupt(100, 3); i.until != 103 {
		t.Errorf("a third, at 100, lasts until %v, want 103", int64(i.until))
	}
}

// Nothing happened before because nobody asked for anything.
func TestLongGapsAreNoStandstill(t *testing.T) {
	w, err := workload.FromTrace("gap", strings.NewReader(
		`{"timestamp": 0, "input_length": 100, "output_length": 3}`+"\n"+`{"timestamp": 7200000, "input_length": 100, "output_length": 3}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := configOf(t, "w12", 1, func(c *Config) { c.Workload, c.Instances, c.ScrapeEvery = w, 1, time.Second })
	if row := do(t, cfg).Row(&cfg); row.Completed != 2 {
		t.Errorf("%d of 2 completed", row.Completed)
	}
}

// One answer may take longer than a standstill, token by token.
func TestSlowAnswersAreNoStandstill(t *testing.T) {
	slow := profile(t, "8b-h100")
	slow.Decode = stuckAfter / 2
	cfg := configOf(t, "w12", 1, func(c *Config) { c.Instances, c.Profiles, c.ScrapeEvery = 1, []model.Profile{slow}, time.Minute })
	if s := scripted(t, cfg, ask(0, 1, 100, 5)).Samples[0]; s.Outcome != Completed || s.E2E < 2*stuckAfter {
		t.Errorf("got %+v, want an answer after %v", s, 2*stuckAfter)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, configOf(t, "w12", 1), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A held request that an idle engine could have had is seen as such.
func TestIdleWhileHeld(t *testing.T) {
	cfg := configOf(t, "w12", 1, func(c *Config) { c.Instances, c.ScrapeCost = 2, 0 })
	r, err := begin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.coming, r.stream = nil, func() *workload.Request { return nil }
	c := r.calls.of(ask(0, 1, 100, 1))
	r.gateways[0].line.Add(c, &c.query, 0)
	r.held, r.live = 1, 1
	r.gateways[0].freed = false
	before := r.heap[0].at
	r.next() // the first scrape; its report lets the gateway look at its line
	for r.live > 0 {
		r.next()
	}
	if got := r.finish().Starved; got < 2*before || got > 2*(before+cfg.ScrapeEvery) || r.held != 0 {
		t.Errorf("two idle instances for %v and a little, together %v", before, got)
	}
}

// Who knows what each engine has finds no less than who guesses it.
func TestOracleFindsWhatTheIndexDoes(t *testing.T) {
	found := func(oracle bool) float64 {
		cfg := configOf(t, "code", 4, func(c *Config) { c.Oracle, c.Params.Duration = oracle, 30*time.Second })
		row := do(t, cfg).Row(&cfg)
		return row.PrefixHitRate
	}
	index, oracle := found(false), found(true)
	if index < 0.15 || oracle < index-0.03 {
		t.Errorf("the index finds %.3f of the prompts, and an oracle %.3f", index, oracle)
	}
}
