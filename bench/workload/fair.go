package workload

import "time"

// fair are the VTC paper's: clients who compete for one engine.
var fair = []*Workload{
	vtc("w7-overload", "two clients who both want too much: 1.5 and 3 requests/s", 360*time.Second,
		tenant{rate: 1.5, prompt: 256, output: 256}, tenant{rate: 3, prompt: 256, output: 256}),
	vtc("w7-proportional", "three clients: 0.25, 0.5 and 1.5 requests/s", 600*time.Second,
		tenant{rate: 0.25, prompt: 256, output: 256}, tenant{rate: 0.5, prompt: 256, output: 256}, tenant{rate: 1.5, prompt: 256, output: 256}),
	vtc("w7-onoff", "one client now and then, 0.5 requests/s, another always, 2 requests/s", 600*time.Second,
		tenant{rate: 0.5, prompt: 256, output: 256, on: time.Minute}, tenant{rate: 2, prompt: 256, output: 256}),
	vtc("w7-shortlong", "short requests, 8 a second, and long ones, 1.5 a second", 360*time.Second,
		tenant{rate: 8, prompt: 64, output: 64}, tenant{rate: 1.5, prompt: 256, output: 256}),
	vtc("w7-inout", "long answers to short prompts, and the reverse, 3 requests/s each", 360*time.Second,
		tenant{rate: 3, prompt: 32, output: 512}, tenant{rate: 3, prompt: 512, output: 32}),
}

func init() { fair = append(fair, locality) }

// locality is for who is fair at the cost of caches: each client has prompts that
// begin alike, and what both want is more than the fleet computes.
var locality = &Workload{
	Name: "w7-locality", About: "two clients who both want too much, 1 and 2 requests in three, each with 20 beginnings of 3,000 tokens; a rate is of both",
	Profiles: []string{"8b-h100"}, Instances: 4, Unit: perSecond, Rates: []float64{30, 40, 50}, Keys: 2, span: 120 * time.Second,
	open: func(p Params) Stream {
		d := newDice(p.Seed, 0x70c)
		return d.poisson(p.Rate, 0, p.Duration, func() *Request {
			key := min(d.IntN(3), 1)
			r := &Request{Key: key, MaxTokens: 128, Output: 128, Answer: d.Uint64()}
			return r.prompt(Span{uint64(1 + 100*key + d.IntN(20)), 3000}, Span{d.Uint64(), 300})
		})
	},
}

// tenant is one client.
type tenant struct {
	rate           float64
	prompt, output int
	on             time.Duration // it sends for so long, and is silent for as long; 0: always
}

func vtc(name, about string, span time.Duration, tenants ...tenant) *Workload {
	return &Workload{
		Name: name, About: about + " (VTC); a rate multiplies them",
		Profiles: []string{"7b-a10"}, Instances: 1, Unit: speed, Rates: []float64{1}, Keys: len(tenants), span: span,
		total: func(rate float64) (n int) {
			for _, t := range tenants {
				n += int(rate * t.rate * span.Seconds())
			}
			return n
		},
		open: func(p Params) Stream {
			var streams []Stream
			for key, t := range tenants {
				streams = append(streams, t.open(key, p))
			}
			return merge(streams...)
		},
	}
}

func (t tenant) open(key int, p Params) Stream {
	d := newDice(p.Seed, 0x700+uint64(key))
	ask := func() *Request {
		r := &Request{Key: key, MaxTokens: t.output, Output: t.output, Answer: d.Uint64()}
		return r.prompt(Span{d.Uint64(), t.prompt})
	}
	all := d.poisson(p.Rate*t.rate, 0, p.Duration, ask)
	if t.on == 0 {
		return all
	}
	return func() *Request {
		r := all()
		for r != nil && r.At/t.on%2 == 1 {
			r = all()
		}
		return r
	}
}
