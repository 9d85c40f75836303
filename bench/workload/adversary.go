package workload

import "time"

// adversaries are loads that policies are not made for.
var adversaries = []*Workload{
	{
		Name: "code", About: "code completion: bursts, files that grow by a line, short answers",
		Profiles: []string{"8b-h100"}, Instances: 4, Unit: perSecond, Rates: []float64{2, 4, 6, 8, 12},
		span: 180 * time.Second, open: completions,
	},
	{
		Name: "agents", About: "agents with contexts of up to 100,000 tokens, in a closed loop",
		Profiles: []string{"8b-h100"}, Instances: 8, Unit: clients, Closed: true, Rates: []float64{8, 16, 32, 48},
		total: func(rate float64) int { return int(rate) * 65 }, open: agents,
	},
	{
		Name: "hot-prefix", About: "a quarter of the requests share 4,000 tokens, the others nothing",
		Profiles: []string{"8b-h100"}, Instances: 8, Unit: perSecond, Rates: []float64{20, 40, 45, 50, 55},
		span: 180 * time.Second, open: hotPrefix,
	},
	{
		Name: "no-sharing", About: "prompts of 2,000 tokens that have nothing in common",
		Profiles: []string{"8b-h100"}, Instances: 8, Unit: perSecond, Rates: []float64{5, 10, 15, 20},
		span: 240 * time.Second, open: strangers,
	},
	{
		Name: "one", About: "one request at a time: conversations of a single client",
		Profiles: []string{"8b-h100"}, Instances: 4, Unit: clients, Closed: true, Rates: []float64{1},
		total: func(float64) int { return 60 * 11 }, open: multiTurn(60),
	},
	{
		Name: "mixed-gpus", About: "chats on two kinds of GPUs, one of them three times as fast",
		Profiles: []string{"8b-h100", "8b-l4", "8b-l4"}, Instances: 6, Unit: perSecond, Rates: []float64{15, 30, 45, 60},
		span: 240 * time.Second, open: chats,
	},
	{
		Name: "large", About: "chats on 200 instances",
		Profiles: []string{"7b-a10"}, Instances: 200, Unit: perSecond, Rates: []float64{160, 320, 480, 640, 800},
		span: 60 * time.Second, open: chats,
	},
}

// Bursts of code completion: five seconds in twenty, at three times the rate
// between them.
const (
	burstEvery = 20 * time.Second
	burstFor   = 5 * time.Second
	editors    = 400
)

func completions(p Params) Stream {
	d := newDice(p.Seed, 0xc0de)
	files := make([]int, editors)
	for i := range files {
		files[i] = 500 + d.IntN(5500)
	}
	ask := func() *Request {
		u := min(int(d.ExpFloat64()*editors/4), editors-1) // few type much
		if files[u] += d.IntN(30); files[u] > 7500 {
			files[u] = 500
		}
		r := &Request{MaxTokens: 64, Session: uint64(u + 1), Key: 0, Output: 4 + d.IntN(60), Answer: d.Uint64()}
		return r.prompt(Span{uint64(u + 1), files[u]}, Span{d.Uint64(), 50 + d.IntN(200)})
	}
	// The mean of one part at 3x and three parts at x is the rate.
	base := p.Rate / 1.5
	all := d.poisson(3*base, 0, p.Duration, ask)
	return func() *Request {
		for {
			r := all()
			if r == nil || r.At%burstEvery < burstFor || d.IntN(3) == 0 {
				return r
			}
		}
	}
}

// Agents' sizes, in tokens.
const (
	agentSystem = 4000
	agentMost   = 100_000
	agentTasks  = 2 // of each
)

var (
	agentStart = lengths{mean: 20_000, spread: 0.7, most: 60_000}
	agentTool  = lengths{mean: 2500, spread: 1.1, most: 16_000}
	agentSays  = lengths{mean: 250, spread: 0.8, most: 2000}
	agentThink = lengths{mean: 2000, spread: 1, most: 30_000} // ms
)

// agent is a client who lets a tool run between two requests.
type agent struct {
	dice
	session uint64
	tasks   int
	spans   []Span
	used    int
}

func agents(p Params) Stream {
	n := 0
	return func() *Request {
		if n == int(p.Rate) {
			return nil
		}
		n++
		a := &agent{dice: newDice(p.Seed, 0xa6e270000+uint64(n)), session: uint64(n), tasks: agentTasks}
		return a.begin(time.Duration(n) * startWithin / time.Duration(p.Rate))
	}
}

func (a *agent) begin(at time.Duration) *Request {
	if a.tasks == 0 {
		return nil
	}
	a.tasks--
	a.spans = []Span{{Text: 1, Tokens: agentSystem}}
	a.used = agentSystem
	return a.ask(at, agentStart.draw(a.dice))
}

// next runs a tool, and tells what it said.
func (a *agent) next(at time.Duration) *Request {
	at += time.Duration(agentThink.draw(a.dice)) * time.Millisecond
	tool := agentTool.draw(a.dice)
	if a.used+tool > agentMost {
		return a.begin(at)
	}
	return a.ask(at, tool)
}

func (a *agent) ask(at time.Duration, tokens int) *Request {
	r := &Request{At: at, MaxTokens: -1, Session: a.session, Output: agentSays.draw(a.dice), Answer: a.Uint64(), Then: a.next}
	a.spans = append(a.spans, Span{a.Uint64(), tokens})
	r.prompt(a.spans[:len(a.spans):len(a.spans)]...)
	a.spans = append(a.spans, Span{r.Answer, r.Output})
	a.used = r.Tokens + r.Output
	return r
}

var (
	ownPart  = lengths{mean: 600, spread: 0.8, most: 4000}
	longPart = lengths{mean: 2000, spread: 0.8, most: 16_000}
	someSaid = lengths{mean: 200, spread: 0.8, most: 1000}
)

func hotPrefix(p Params) Stream {
	d := newDice(p.Seed, 0x407)
	return d.poisson(p.Rate, 0, p.Duration, func() *Request {
		r := &Request{MaxTokens: -1, Output: someSaid.draw(d), Answer: d.Uint64()}
		own := Span{d.Uint64(), ownPart.draw(d)}
		if d.IntN(4) == 0 {
			return r.prompt(Span{1, 4000}, own)
		}
		return r.prompt(own)
	})
}

func strangers(p Params) Stream {
	d := newDice(p.Seed, 0x57a)
	return d.poisson(p.Rate, 0, p.Duration, func() *Request {
		r := &Request{MaxTokens: -1, Output: someSaid.draw(d), Answer: d.Uint64()}
		return r.prompt(Span{d.Uint64(), longPart.draw(d)})
	})
}
