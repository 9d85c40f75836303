package scheduler

// predictive takes the candidate on which the request costs the least time: its
// own, and what it takes from others.
var predictive = policy{
	name: "predictive", signals: []int{sigWaiting, sigRunning}, hits: true, outlook: true, waits: true,
	choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		best, soonest := cheapest(q.Rand, c)
		switch {
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

// cheapest is a candidate of the lowest cost, each of them equally likely, and
// who gives the first token soonest.
func cheapest(chance uint64, c []candidate) (best, soonest int) {
	ties := 1
	for i := 1; i < len(c); i++ {
		if c[i].ttft < c[soonest].ttft {
			soonest = i
		}
		switch v := c[i].cost; {
		case v < c[best].cost:
			best, ties = i, 1
		case v == c[best].cost:
			ties++
		}
	}
	lowest := c[best].cost
	for n := below(chance, ties); n > 0; {
		if best++; c[best].cost == lowest {
			n--
		}
	}
	return best, soonest
}
