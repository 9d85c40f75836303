package fleet

import (
	"math/rand/v2"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/engine"
)

// modelName is what all instances serve.
const modelName = "m"

// gateway is one gateway: a scheduler, and the line of the requests that no
// instance could take, as dataplane's holder keeps it.
type gateway struct {
	sched *scheduler.Scheduler
	all   []*scheduler.Instance
	index map[*scheduler.Instance]int32
	dice  *rand.Rand
	line  *scheduler.Line[*call]
	freed bool // something may have got room
}

func (r *run) newGateway(n int) (*gateway, error) {
	cfg := scheduler.DefaultConfig()
	cfg.Policy, cfg.Late = r.Policy, !r.Early
	if r.Shed {
		cfg.SLO = scheduler.SLO{TTFT: Objective.TTFT, ITL: Objective.ITL}
	}
	for i := range r.Instances {
		cfg.Instances = append(cfg.Instances, scheduler.InstanceConfig{URL: urlOf(i), Name: nameOf(i)})
	}
	s, err := scheduler.New(cfg, quiet)
	if err != nil {
		return nil, err
	}
	g := &gateway{
		sched: s, all: s.Instances(), line: scheduler.NewLine[*call](s), index: make(map[*scheduler.Instance]int32),
		dice: rand.New(rand.NewPCG(r.Params.Seed, 0x9a7e+uint64(n))),
	}
	var said engine.Reading
	for k, i := range g.all {
		g.index[i] = int32(k)
		s.Serves(i, []engine.Model{{ID: modelName, MaxLen: r.instances[k].profile.MaxModelLen}})
		r.read(&r.instances[k], &said)
		s.Tell(i, &said)
	}
	s.OnFree(func() { g.freed = true })
	if r.Oracle {
		s.Oracle(func(i *scheduler.Instance, q *scheduler.Query) int { return r.instances[g.index[i]].cached(q.Prefix) })
	}
	return g, nil
}

// arrive is a request's arrival at its gateway. Who comes now does not overtake
// who waits; who was tried already may.
func (r *run) arrive(c *call) {
	g := r.gateways[c.gateway]
	if g.line.Len() == 0 || c.tries > 0 {
		switch r.place(g, c).Verdict {
		case scheduler.Picked:
			return
		case scheduler.NoInstance, scheduler.NoModel:
			r.refuse(c)
			return
		case scheduler.Hopeless:
			r.reject(c)
			return
		}
	}
	if g.line.Len() >= r.Queue {
		r.reject(c)
		return
	}
	if r.Shed {
		c.promised = Objective.TTFT + g.sched.Alone(&c.query)
	}
	g.line.Add(c, &c.query, int64(r.now))
	r.held++
	g.freed = true
}

// place gives c to an instance, if one can take it.
func (r *run) place(g *gateway, c *call) scheduler.Decision {
	c.query.Now, c.query.Rand = int64(r.now), g.dice.Uint64()
	d := g.sched.Pick(&c.query)
	if d.Verdict == scheduler.Picked {
		c.place, c.inst, c.believed = d.Reservation, g.index[d.Instance], d.Reservation.Believed()
		r.plan(event{at: r.now + r.Delay, kind: reaches, call: c})
	}
	return d
}

// serve goes along the line as far as there is room.
func (r *run) serve(g *gateway) {
	g.freed = false
	if r.Shed {
		g.line.Wait(int64(r.now), func(c *call, wait float64) { c.wait = wait })
		g.line.Prune(func(c *call) bool { return r.late(c) })
	}
	g.line.Serve(int64(r.now), func(c *call) (scheduler.Decision, bool) {
		d := r.place(g, c)
		if d.Verdict == scheduler.Full {
			return d, false
		}
		r.held--
		switch d.Verdict {
		case scheduler.Picked:
		case scheduler.Hopeless:
			r.reject(c)
		default:
			r.refuse(c)
		}
		return d, true
	})
}

// late refuses one that has waited for as long as its first token may take, or
// will have when it is its turn.
func (r *run) late(c *call) bool {
	turn := r.now - c.arrived + time.Duration(c.wait*float64(time.Second))
	if turn <= c.promised || c.tries > 0 {
		return false
	}
	r.held--
	r.reject(c)
	return true
}

// firstToken and lastToken are the gateway's moments of an answer.
func (r *run) firstToken(c *call) {
	c.begun, c.first = true, r.now
	c.place.FirstByte(int64(r.now))
}

func (r *run) lastToken(c *call) {
	c.place.Tokens(c.untold+1, int64(r.now))
	c.place.End()
	r.complete(c)
}

// scrape asks an instance for its metrics, and plans the next time.
func (r *run) scrape(e event) {
	r.plan(event{at: r.now + r.ScrapeEvery, kind: scrapes, n: e.n, g: e.g})
	i := &r.instances[e.n]
	if i.dead {
		return
	}
	said := r.spareReport()
	r.read(i, &said.Reading)
	said.life = i.life
	i.interrupt(r.now, r.ScrapeCost)
	r.plan(event{at: r.now + 2*r.Delay + r.ScrapeCost, kind: reports, n: e.n, g: e.g, said: said})
}

// hear is the report's arrival.
func (r *run) hear(e event) {
	g := r.gateways[e.g]
	if i := &r.instances[e.n]; !i.dead && e.said.life == i.life { // else the connection broke
		e.said.Took = 2*r.Delay + r.ScrapeCost
		g.sched.Tell(g.all[e.n], &e.said.Reading)
		g.freed = true
	}
	r.reports = append(r.reports, e.said)
}

func (r *run) spareReport() *report {
	if n := len(r.reports) - 1; n >= 0 {
		said := r.reports[n]
		r.reports = r.reports[:n]
		return said
	}
	return new(report)
}

// phase spreads scrapes over their interval.
func phase(d *rand.Rand, every time.Duration) time.Duration {
	return time.Duration(d.Int64N(int64(every)))
}
