package scheduler

// predictive takes the candidate on which the request costs the least time: its
// own, and what it takes from others.
var predictive = policy{
	name: "predictive", signals: []int{sigWaiting, sigRunning}, hits: true, outlook: true, waits: true,
	choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		best := least(q.Rand, c, func(c *candidate) float64 { return c.cost })
		switch soonest := soonestOf(c); {
		case c[best].blocks > 0 && c[best].fresh < c[soonest].fresh:
			return best, "has more of the prompt, and that saves more than it waits"
		case c[best].blocks > 0:
			return best, "has the prompt's beginning, and no other is sooner"
		case best == soonest:
			return best, "soonest first token"
		}
		return best, "takes the least from the others"
	},
}

func soonestOf(c []candidate) int {
	best := 0
	for i := range c {
		if c[i].ttft < c[best].ttft {
			best = i
		}
	}
	return best
}
