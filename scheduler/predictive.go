package scheduler

// predictive takes the candidate on which the request costs the least time: its
// own, and what it takes from others.
var predictive = policy{
	name: "predictive", signals: []int{sigWaiting, sigRunning}, hits: true, outlook: true, waits: true,
	choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		best := cheapest(q.Rand, c)
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

// cheapest is the candidate of the least cost; of several, by chance.
func cheapest(chance uint64, c []candidate) int {
	best, ties := 0, 1
	for i := 1; i < len(c); i++ {
		switch {
		case c[i].cost < c[best].cost:
			best, ties = i, 1
		case c[i].cost == c[best].cost:
			ties++
			if chance = next(chance); below(chance, ties) == 0 {
				best = i
			}
		}
	}
	return best
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
