package main

import "math/rand/v2"

// pace makes requests at a mean rate, at random times, whether or not the ones
// before have their answers. A request that finds no free client waits for one,
// and its latency counts from when it was due.
type pace struct {
	gap  float64 // mean ns between two requests, exponential
	next int64   // when the next is due
	dice *rand.Rand
	idle []*client
	late []int64 // due, but no client was free
}

// mostLate bounds what a proxy that cannot keep up leaves behind; what exceeds
// it is never sent.
const mostLate = 1 << 14

func newPace(perSecond float64, now int64) *pace {
	return &pace{gap: 1e9 / perSecond, next: now, dice: rand.New(rand.NewPCG(3, 4))}
}

// tick sends what is due at now.
func (p *pace) tick(now int64) int64 {
	for ; p.next <= now; p.next += int64(p.dice.ExpFloat64() * p.gap) {
		if n := len(p.idle) - 1; n >= 0 {
			c := p.idle[n]
			p.idle = p.idle[:n]
			c.begin(p.next)
		} else if len(p.late) < mostLate {
			p.late = append(p.late, p.next)
		}
	}
	return p.next
}

// free takes back a client that has its answer.
func (p *pace) free(c *client) {
	if len(p.late) == 0 {
		p.idle = append(p.idle, c)
		return
	}
	due := p.late[0]
	p.late = p.late[1:]
	c.begin(due)
}
