package scheduler

import "math"

// bounds are what a candidate may have at most to be chosen.
type bounds struct{ queue, usage float64 }

var unbounded = bounds{math.Inf(1), math.Inf(1)}

func (b bounds) admit(c *candidate) bool { return c.waiting() <= b.queue && c.kvUsage() <= b.usage }

// higress is Higress's and the early Gateway API Inference Extension's: of those
// whose KV cache is not nearly full and whose queue is short, the shortest
// queues, of these the emptiest caches, of these any. If there are none, of all:
// theirs refuses a request then that is not critical.
var higress = policy{name: "higress", signals: []int{sigWaiting, sigKVUsage}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	if n := (bounds{queue: 5, usage: 0.8}).choose(q.Rand, c); n >= 0 {
		return n, "shortest queue, then emptiest KV cache"
	}
	if n := unbounded.choose(q.Rand, c); n >= 0 {
		return n, "shortest queue: all are above the bounds"
	}
	// What was read of them has changed while it was compared.
	return least(q.Rand, c, (*candidate).waiting), "shortest queue"
}}

// choose draws the bounds closer, first of the queue, then of the KV cache, and
// takes any that is left; -1: none was.
func (b bounds) choose(chance uint64, c []candidate) int {
	b.queue = math.Floor(b.firstPart(c, (*candidate).waiting)) // they divide integers
	b.usage = b.firstPart(c, (*candidate).kvUsage)
	return fewest(chance, c, b.admit, func(*candidate) float64 { return 0 })
}

// firstPart is where the first of n equal parts ends that the values of the n
// admitted span: whoever is below is as good as the best. NaN: nobody is
// admitted, now or later.
func (b bounds) firstPart(c []candidate, of func(*candidate) float64) float64 {
	low, high, n := math.Inf(1), math.Inf(-1), 0.0
	for i := range c {
		if b.admit(&c[i]) {
			v := of(&c[i])
			low, high, n = min(low, v), max(high, v), n+1
		}
	}
	return low + (high-low)/n
}
