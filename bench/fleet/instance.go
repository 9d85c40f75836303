package fleet

import (
	"time"

	"penstock/bench/model"
	"penstock/scheduler/engine"
)

// instance is one engine, as it steps through virtual time.
type instance struct {
	*model.Engine
	profile model.Profile
	n       int32
	life    int32 // how often it died
	dead    bool
	downs   int     // failures that keep it dead
	calls   []*call // in it, in no order
	inStep  bool
	begins  time.Duration // when it was last planned to begin
	until   time.Duration // when its step ends, and the scrapes that it answers
	busy    time.Duration // spent in steps
}

// kick begins a step if there is one to begin, or plans when there will be.
func (r *run) kick(i *instance) {
	if i.inStep || i.dead {
		return
	}
	if step, ok := i.Begin(r.now); ok {
		i.inStep = true
		r.idle--
		took := step.Duration + max(i.until-r.now, 0)
		i.until = r.now + took
		i.busy += took
		r.plan(event{at: i.until, kind: steps, n: i.n, g: i.life})
		return
	}
	if at, some := i.Next(); some && at > r.now && at != i.begins {
		i.begins = at
		r.plan(event{at: at, kind: begins, n: i.n})
	}
}

// interrupt takes of an engine's time. A step under way is not put off; the next
// one is. An idle engine has the time.
func (i *instance) interrupt(now, cost time.Duration) { i.until = max(i.until, now) + cost }

// stepped gives the tokens of a step.
func (r *run) stepped(i *instance, life int32) {
	if life != i.life {
		return // it died meanwhile
	}
	i.inStep = false
	r.idle++
	for _, s := range i.End(r.now) {
		c := s.Owner().(*call)
		r.moved = r.now
		if r.fairness != nil {
			r.fairness.token(c, s.Generated())
		}
		if s.Generated() == 1 {
			c.cached = s.Cached()
			r.plan(event{at: r.now + r.Delay, kind: first, call: c})
		}
		if s.Finished() {
			i.drop(c)
			r.plan(event{at: r.now + r.Delay, kind: ends, call: c})
			continue
		}
		c.tokens(1, r.now)
	}
	r.kick(i)
}

// reach is the request's arrival at its engine.
func (r *run) reach(c *call) {
	i := &r.instances[c.inst]
	if i.dead {
		r.plan(event{at: r.now + r.Delay, kind: breaks, call: c})
		return
	}
	if _, err := i.Submit(r.now, c.asked()); err != nil {
		r.plan(event{at: r.now + r.Delay, kind: refused, call: c})
		return
	}
	i.keep(c)
	r.kick(i)
}

// cached is how many leading blocks it has.
func (i *instance) cached(prefix []uint64) (n int) {
	for n < len(prefix) && i.Has(model.Hash(prefix[n])) {
		n++
	}
	return n
}

func (i *instance) keep(c *call) {
	c.slot = len(i.calls)
	i.calls = append(i.calls, c)
}

func (i *instance) drop(c *call) {
	last := i.calls[len(i.calls)-1]
	i.calls[c.slot], last.slot = last, c.slot
	i.calls = i.calls[:len(i.calls)-1]
}

// report is what an engine says on its way to a gateway.
type report struct {
	engine.Reading
	life int32 // of the engine's
}

// says is what vLLM says of all that the model knows.
const says = engine.HasRunning | engine.HasWaiting | engine.HasKVUsage | engine.HasTokens | engine.HasPrefix | engine.HasCapacity | engine.HasConcurrency

// epoch is when virtual time begins.
var epoch = time.Unix(1_800_000_000, 0)

func (r *run) read(i *instance, to *engine.Reading) {
	s := i.Stats()
	*to = engine.Reading{
		At: epoch.Add(r.now), Kind: engine.VLLM, Has: says,
		Running: float64(s.Running), Waiting: float64(s.Waiting), KVUsage: s.KVUsage(),
		KVCapacityTokens: int64(i.profile.KVTokens()), MaxConcurrency: float64(i.profile.KVTokens()) / float64(i.profile.MaxModelLen),
		PromptTokens: uint64(s.PromptTokens), GenerationTokens: uint64(s.GeneratedTokens),
		PrefixQueries: uint64(s.PrefixQueries), PrefixHits: uint64(s.PrefixHits),
	}
}
