package scheduler

// What others have, as they publish it: for comparison, and for who wants it.
// They read the same index and the same account as our own, which most of them
// do not have, and are no worse for it.

// matched is the share of the prompt that a candidate has, 0..1.
func (c *candidate) matched(q *Query) float64 {
	if len(q.Prefix) == 0 {
		return 0
	}
	return float64(c.blocks) / float64(len(q.Prefix))
}

// kvUsage is the candidate's, 0..1, as it said last.
func (c *candidate) kvUsage() float64 { return float64(c.inst.said.kvUsage.Load()) / 1e6 }

func (c *candidate) waiting() float64 { return float64(c.load.waiting) }

// most is the largest value, and where; the first of several.
func most(c []candidate, of func(*candidate) float64) (int, float64) {
	best, value := 0, of(&c[0])
	for n := 1; n < len(c); n++ {
		if v := of(&c[n]); v > value {
			best, value = n, v
		}
	}
	return best, value
}

// fewest is the least of those that are allowed, by chance among equals; -1:
// none is.
func fewest(chance uint64, c []candidate, allowed func(*candidate) bool, cost func(*candidate) float64) int {
	const never = 1e300
	best := least(chance, c, func(c *candidate) float64 {
		if !allowed(c) {
			return never
		}
		return cost(c)
	})
	if !allowed(&c[best]) {
		return -1
	}
	return best
}

// prefixCache is the managed service's (PAI-EAS LLM Intelligent Router): among
// those with the longest match, of half the prompt at least, the fewest tokens,
// unless they wait or have far more than the mean.
var prefixCache = policy{name: "prefix-cache", signals: []int{sigWaiting, sigRunning}, hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	longest, share := most(c, func(c *candidate) float64 { return c.matched(q) })
	if share < 0.5 {
		return least(q.Rand, c, (*candidate).tokens), "fewest tokens: nobody has half of the prompt"
	}
	blocks, mean := c[longest].blocks, 0.0
	for n := range c {
		mean += c[n].tokens() / float64(len(c))
	}
	if n := fewest(q.Rand, c, func(c *candidate) bool { return c.blocks == blocks && c.load.waiting <= 2 }, (*candidate).tokens); n >= 0 {
		return n, "longest match"
	}
	if n := fewest(q.Rand, c, func(c *candidate) bool { return c.blocks == blocks && c.tokens() <= 1.3*mean }, (*candidate).tokens); n >= 0 {
		return n, "longest match, and no more tokens than others"
	}
	return least(q.Rand, c, (*candidate).tokens), "fewest tokens: those with the longest match have too many"
}}

// llmD is llm-d's and the Gateway API Inference Extension's default: weights of
// 2 for the queue, 2 for the KV cache, 3 for the prefix.
var llmD = policy{name: "llm-d", signals: []int{sigWaiting, sigKVUsage}, hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	_, longest := most(c, (*candidate).waiting)
	_, least0 := most(c, func(c *candidate) float64 { return -c.waiting() })
	shortest := -least0
	return least(q.Rand, c, func(c *candidate) float64 {
		queue := 1.0
		if longest > shortest {
			queue = (longest - c.waiting()) / (longest - shortest)
		}
		return -(2*queue + 2*(1-c.kvUsage()) + 3*c.matched(q))
	}), "best score of queue, KV cache and prefix"
}}

// llmDSticky is llm-d's newer advice: stay where four fifths of the prompt are
// until that has 18 s of prompts to compute, then the lightest.
var llmDSticky = policy{name: "llm-d-sticky", signals: []int{sigWaiting}, hits: true, outlook: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	backlog := func(c *candidate) float64 { return c.ahead * c.inst.speed.Rates().Token }
	if n := fewest(q.Rand, c, func(c *candidate) bool { return c.matched(q) >= 0.8 && backlog(c) <= 18 }, func(c *candidate) float64 { return -c.matched(q) }); n >= 0 {
		return n, "has four fifths of the prompt"
	}
	return least(q.Rand, c, func(c *candidate) float64 { return c.ahead*1e9 + c.tokens() }), "lightest"
}}

// smgCacheAware is the SGLang Model Gateway's: the fewest requests if they are
// out of balance, else the longest match, of three tenths at least, else the
// smallest tree.
var smgCacheAware = policy{name: "smg-cache-aware", hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	_, high := most(c, (*candidate).requests)
	low := c[least(q.Rand, c, (*candidate).requests)].requests()
	switch _, match := most(c, func(c *candidate) float64 { return c.matched(q) }); {
	case high-low > 64 && high > 1.5*low:
		return least(q.Rand, c, (*candidate).requests), "fewest requests: they are out of balance"
	case match >= 0.3:
		return least(q.Rand, c, func(c *candidate) float64 { return -c.matched(q) }), "longest match"
	}
	return least(q.Rand, c, func(c *candidate) float64 { return float64(c.size) }), "smallest tree"
}}

// dynamo is NVIDIA Dynamo's: tokens to compute, with those under way, and tokens
// in the KV cache, with its own; the least.
var dynamo = policy{name: "dynamo", hits: true, outlook: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	return least(q.Rand, c, func(c *candidate) float64 {
		w := &c.inst.row.work
		return float64(w.fresh.Load()) + c.fresh + float64(w.kept.Load()) + c.fresh
	}), "fewest blocks to compute and to keep"
}}

// higress is Higress's and the early Gateway API Inference Extension's: of those
// whose KV cache is not nearly full and whose queue is short, the shortest
// queue, then the emptiest cache.
var higress = policy{name: "higress", signals: []int{sigWaiting, sigKVUsage}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	cost := func(c *candidate) float64 { return c.waiting()*10 + c.kvUsage() }
	if n := fewest(q.Rand, c, func(c *candidate) bool { return c.kvUsage() <= 0.8 && c.load.waiting <= 5 }, cost); n >= 0 {
		return n, "shortest queue, then emptiest KV cache"
	}
	return least(q.Rand, c, cost), "shortest queue: all are above the bounds"
}}

// loadAware is the vLLM production-stack's: the share that matches, less the
// load beside the highest.
var loadAware = policy{name: "loadaware", signals: []int{sigRunning}, hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	_, high := most(c, (*candidate).requests)
	return least(q.Rand, c, func(c *candidate) float64 {
		return c.requests()/max(high, 1) - c.matched(q)
	}), "best of match less load"
}}
