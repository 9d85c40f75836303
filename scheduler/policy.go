package scheduler

import (
	"math/bits"
	"slices"
)

// policy chooses one of the candidates, of which there is at least one. It is a
// pure function: chance and turn come with the query.
type policy struct {
	name    string
	signals []int // of the engines, that it reads, the most important first; without them it goes by our own account
	hits    bool  // it reads what candidates have of the prompt
	outlook bool  // it reads what would become of the request there
	waits   bool  // it would rather hold a request than queue it in an engine
	choose  func(q *Query, turn uint64, c []candidate) (index int, reason string)
}

// candidate is an instance that could take the request, with its load as it was
// when the decision began.
type candidate struct {
	inst    *Instance
	load    load
	depth   int32 // leading blocks of the prompt that it has
	blocks  int32 // of BlockBytes each
	cached  int32 // blocks that it has in all
	ties    int32 // what else draws the request there
	full    bool  // it takes nothing now
	crowded bool  // it runs as many requests as it can
	scene
	outlook
}

// policies are all there are; an instance that others would choose too is told
// apart by chance, so that several gateways do not herd.
var policies = []policy{
	predictive, leastToken, leastRequest, powerOfTwo, roundRobin, random,
	prefixCache, llmD, llmDSticky, smgCacheAware, dynamo, chwbl, higress, loadAware,
}

var (
	roundRobin = policy{name: "round-robin", choose: func(_ *Query, turn uint64, c []candidate) (int, string) {
		return int(turn % uint64(len(c))), "its turn"
	}}
	random = policy{name: "random", choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		return below(q.Rand, len(c)), "chance"
	}}
	leastRequest = policy{name: "least-request", signals: []int{sigRunning}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		return least(q.Rand, c, (*candidate).requests), "fewest requests"
	}}
	powerOfTwo = policy{name: "p2c", signals: []int{sigRunning}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		a, b := two(q.Rand, len(c))
		if c[b].requests() < c[a].requests() {
			a = b
		}
		return a, "the better of two"
	}}
	leastToken = policy{name: "least-token", signals: []int{sigWaiting, sigRunning}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
		return least(q.Rand, c, (*candidate).tokens), "fewest tokens"
	}}
)

// wants says whether the policy reads the n-th signal.
func (p *policy) wants(n int) bool { return slices.Contains(p.signals, n) }

// Policies lists the names.
func Policies() []string {
	var names []string
	for _, p := range policies {
		names = append(names, p.name)
	}
	return names
}

func policyNamed(name string) (policy, bool) {
	i := slices.IndexFunc(policies, func(p policy) bool { return p.name == name })
	if i < 0 {
		return policy{}, false
	}
	return policies[i], true
}

func (c *candidate) requests() float64 { return float64(c.load.requests) }
func (c *candidate) tokens() float64   { return float64(c.load.tokens) }

// least returns a candidate of the lowest cost, each of them equally likely.
func least(chance uint64, c []candidate, cost func(*candidate) float64) int {
	best, ties := 0, 1
	lowest := cost(&c[0])
	for i := 1; i < len(c); i++ {
		switch v := cost(&c[i]); {
		case v < lowest:
			best, ties, lowest = i, 1, v
		case v == lowest:
			ties++
			if chance = next(chance); below(chance, ties) == 0 {
				best = i
			}
		}
	}
	return best
}

// two returns two of n that differ where n allows.
func two(chance uint64, n int) (int, int) {
	a := below(chance, n)
	if n == 1 {
		return a, a
	}
	b := below(next(chance), n-1)
	if b >= a {
		b++
	}
	return a, b
}

// below maps chance on [0, n).
func below(chance uint64, n int) int {
	hi, _ := bits.Mul64(chance, uint64(n))
	return int(hi)
}

// next is another chance from the same (splitmix64: Steele, Lea, Flood 2014).
func next(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
