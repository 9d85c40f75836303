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
	line  []*call
	head  int  // of the line
	freed bool // something may have got room
}

func (r *run) newGateway(n int) (*gateway, error) {
	cfg := scheduler.DefaultConfig()
	cfg.Policy = r.Policy
	for i := range r.Instances {
		cfg.Instances = append(cfg.Instances, scheduler.InstanceConfig{URL: urlOf(i), Name: nameOf(i)})
	}
	s, err := scheduler.New(cfg, quiet)
	if err != nil {
		return nil, err
	}
	g := &gateway{
		sched: s, all: s.Instances(), index: make(map[*scheduler.Instance]int32),
		dice: rand.New(rand.NewPCG(r.Params.Seed, 0x9a7e+uint64(n))),
	}
	var said engine.Reading
	for k, i := range g.all {
		g.index[i] = int32(k)
		s.Serves(i, []engine.Model{{ID: modelName, MaxLen: r.instances[k].profile.MaxModelLen}})
		r.read(&r.instances[k], &said)
		i.Tell(&said)
	}
	s.OnFree(func() { g.freed = true })
	return g, nil
}

// arrive is a request's arrival at its gateway. Who comes now does not overtake
// who waits; who was tried already may.
func (r *run) arrive(c *call) {
	g := r.gateways[c.gateway]
	if g.held() == 0 || c.tries > 0 {
		switch r.place(g, c) {
		case scheduler.Picked:
			return
		case scheduler.NoInstance, scheduler.NoModel:
			r.refuse(c)
			return
		}
	}
	if g.held() >= r.Queue {
		r.reject(c)
		return
	}
	g.line = append(g.line, c)
	r.held++
}

func (g *gateway) held() int { return len(g.line) - g.head }

// place gives c to an instance, if one can take it.
func (r *run) place(g *gateway, c *call) scheduler.Verdict {
	c.query.Now, c.query.Rand = int64(r.now), g.dice.Uint64()
	d := g.sched.Pick(&c.query)
	if d.Verdict == scheduler.Picked {
		c.place, c.inst = d.Reservation, g.index[d.Instance]
		r.plan(event{at: r.now + r.Delay, kind: reaches, call: c})
	}
	return d.Verdict
}

// serve goes along the line as far as there is room.
func (r *run) serve(g *gateway) {
	g.freed = false
	for g.held() > 0 {
		c := g.line[g.head]
		verdict := r.place(g, c)
		if verdict == scheduler.Full {
			break
		}
		g.line[g.head] = nil
		g.head++
		r.held--
		if verdict != scheduler.Picked {
			r.refuse(c)
		}
	}
	if g.head > 1024 && g.head > len(g.line)/2 {
		g.line = append(g.line[:0], g.line[g.head:]...)
		g.head = 0
	}
}

// firstToken and lastToken are the gateway's moments of an answer.
func (r *run) firstToken(c *call) {
	c.begun, c.first = true, r.now
	c.place.FirstByte(int64(r.now))
}

func (r *run) lastToken(c *call) {
	c.place.Tokens(c.untold + 1)
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
	i.debt += r.ScrapeCost
	r.plan(event{at: r.now + 2*r.Delay + r.ScrapeCost, kind: reports, n: e.n, g: e.g, said: said})
}

// hear is the report's arrival.
func (r *run) hear(e event) {
	g := r.gateways[e.g]
	if i := &r.instances[e.n]; !i.dead && e.said.life == i.life { // else the connection broke
		e.said.Took = 2*r.Delay + r.ScrapeCost
		g.all[e.n].Tell(&e.said.Reading)
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
