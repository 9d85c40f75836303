package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	"penstock/bench/model"
	"penstock/bench/workload"
)

// run is one run under way.
type run struct {
	Config
	agenda
	now       time.Duration
	instances []instance
	gateways  []*gateway

	stream  workload.Stream
	coming  *workload.Request // the next of stream
	stage   time.Duration     // when its stage began
	calls   calls
	reports []*report     // to use again
	asked   uint64        // requests that have come
	live    int           // of them not ended
	later   int           // of a closed loop, that will come
	moved   time.Duration // when a request came, had a token, or ended

	held int // by all gateways
	idle int // instances that compute nothing

	result   *Result
	fairness *fairness
}

// quiet is for schedulers: what they have to say is said in virtual time.
var quiet = slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))

func urlOf(i int) string  { return fmt.Sprintf("http://10.0.%d.%d:8000", i>>8, i&255) }
func nameOf(i int) string { return fmt.Sprintf("engine-%d", i+1) }

// stuckAfter is how long no request may come, move on or end while some are there.
const stuckAfter = time.Hour

var errStuck = errors.New("fleet: nothing moves any more, and requests wait")

// Run runs to the end of the last request. observe is told now and then how many
// have ended; it may be nil.
func Run(ctx context.Context, cfg Config, observe func(ended int)) (*Result, error) {
	r, err := begin(cfg)
	if err != nil {
		return nil, err
	}
	if err := r.play(ctx, observe); err != nil {
		return nil, err
	}
	return r.finish(), nil
}

// play lets one thing happen after the other.
func (r *run) play(ctx context.Context, observe func(ended int)) error {
	for n := 0; r.coming != nil || r.live+r.later > 0; n++ {
		if n%(1<<16) == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if observe != nil {
				observe(len(r.result.Samples))
			}
		}
		r.next()
		if r.now-r.moved > stuckAfter && r.live > 0 {
			return errStuck
		}
	}
	return nil
}

func begin(cfg Config) (*run, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	r := &run{Config: cfg, stream: cfg.Workload.Open(cfg.Params), instances: make([]instance, cfg.Instances), result: new(Result)}
	for n := range r.instances {
		i := &r.instances[n]
		i.n, i.profile = int32(n), cfg.Profiles[n%len(cfg.Profiles)]
		if i.Engine, err = model.New(i.profile); err != nil {
			return nil, err
		}
	}
	r.idle = len(r.instances)
	d := rand.New(rand.NewPCG(cfg.Params.Seed, 0x5c9a9e))
	for n := range cfg.Gateways {
		g, err := r.newGateway(n)
		if err != nil {
			return nil, err
		}
		r.gateways = append(r.gateways, g)
		for i := range r.instances {
			r.plan(event{at: phase(d, cfg.ScrapeEvery), kind: scrapes, n: int32(i), g: int32(n)})
		}
	}
	r.planFailures()
	if cfg.Workload.Keys > 1 {
		r.fairness = newFairness(cfg.Workload.Keys)
	}
	r.coming = r.stream()
	return r, nil
}

// next lets the next thing happen.
func (r *run) next() {
	if q := r.coming; q != nil && r.due(q) {
		r.coming = r.stream()
		r.advance(max(r.now, r.stage+q.At))
		r.begin(q)
		r.settle()
		return
	}
	e := r.agenda.next()
	r.advance(e.at)
	switch e.kind {
	case reaches:
		r.reach(e.call)
	case begins:
		r.kick(&r.instances[e.n])
	case steps:
		r.stepped(&r.instances[e.n], e.g)
	case first:
		r.firstToken(e.call)
	case ends:
		r.lastToken(e.call)
	case refused:
		r.refuse(e.call)
	case breaks:
		r.broken(e.call)
	case crashes:
		r.crash(&r.instances[e.n])
	case returns:
		r.restart(&r.instances[e.n])
	case scrapes:
		r.scrape(e)
	case reports:
		r.hear(e)
	case arrives:
		r.later--
		r.begin(e.call.Request)
		r.calls.free = append(r.calls.free, e.call)
	}
	r.settle()
}

// advance goes on to a time, and notes who idles meanwhile though requests are
// held.
func (r *run) advance(to time.Duration) {
	if r.held > 0 {
		r.result.Starved += time.Duration(r.idle) * (to - r.now)
	}
	r.now = to
}

// due says whether the stream's next request comes before any event.
func (r *run) due(q *workload.Request) bool {
	if q.Stage {
		if r.live+r.later > 0 {
			return false
		}
		r.stage, q.Stage = r.now, false
	}
	return r.stage+q.At <= r.heap[0].at
}

// begin is a request's first moment.
func (r *run) begin(q *workload.Request) {
	c := r.calls.of(q)
	c.arrived, r.moved = r.now, r.now
	if r.OneKey {
		c.query.Key, c.query.Like = 0, 0
	}
	c.query.PromptTokens, c.query.Arrived = r.guess(q), int64(r.now)
	c.gateway = int32(model.Mix(r.Params.Seed+r.asked*0x9e3779b97f4a7c15) % uint64(r.Gateways))
	r.asked++
	r.live++
	if r.fairness != nil {
		r.fairness.arrive(c)
	}
	r.arrive(c)
}

// guess is what a gateway takes the prompt's length for.
func (r *run) guess(q *workload.Request) int {
	if r.TokenError == 0 {
		return q.Tokens
	}
	chance := float64(model.Mix(q.Answer)>>11)/(1<<52) - 1 // -1 to 1
	return max(int(float64(q.Tokens)*(1+r.TokenError*chance)), 1)
}

// settle lets gateways serve who waits, where something may have got room.
func (r *run) settle() {
	for _, g := range r.gateways {
		if g.freed {
			r.serve(g)
		}
	}
}
