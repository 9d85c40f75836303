package scheduler

import (
	"math"

	"penstock/scheduler/engine"
)

// What others have, as they publish it: for comparison, and for who wants it.
// They read the same index and the same account as our own, which most of them
// do not have, and are no worse for it.

// matched is the share of the prompt that a candidate has, 0..1.
func (c *candidate) matched(q *Query) float64 {
	if len(q.Prefix) == 0 {
		return 0
	}
	return float64(c.blocks) / float64(q.promptBlocks())
}

// kvUsage is the candidate's, 0..1, as it said last. Of one that does not say
// any more, our own are counted: 0 would draw everything there.
func (c *candidate) kvUsage() float64 {
	said := &c.inst.said
	if size := said.kvSize.Load(); size > 0 && !c.inst.live().Has(engine.HasKVUsage) {
		return min(float64(c.inst.row.work.kept.Load())/float64(size), 1)
	}
	return float64(said.kvUsage.Load()) / 1e6
}

// waiting is the candidate's queue. Of one that does not say, ours without a
// first byte are counted.
func (c *candidate) waiting() float64 {
	if row := &c.inst.row; !c.inst.live().Has(engine.HasWaiting) {
		return float64(max(row.inFlight.Load()-row.streams.Load(), 0))
	}
	return float64(c.load.waiting)
}

// backlog is how many seconds the candidate takes for the prompts that it was
// given. Not the outlook's: that goes when our predictions do, and others know
// of no predictions. Whole tokens, as they are recorded: a replay has the same
// ties.
func (c *candidate) backlog(now int64) float64 {
	token := c.inst.rates.Load().Token
	return math.Trunc(c.inst.ahead(now, c.inst.row.work.prompts.Load(), token)) * token
}

// span is the lowest value and the highest.
func span(c []candidate, of func(*candidate) float64) (low, high float64) {
	low = of(&c[0])
	high = low
	for n := 1; n < len(c); n++ {
		v := of(&c[n])
		low, high = min(low, v), max(high, v)
	}
	return low, high
}

// average is that of all.
func average(c []candidate, of func(*candidate) float64) (m float64) {
	for n := range c {
		m += of(&c[n]) / float64(len(c))
	}
	return m
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
	_, match := span(c, func(c *candidate) float64 { return c.matched(q) })
	if match < 0.5 {
		return least(q.Rand, c, (*candidate).tokens), "fewest tokens: nobody has half of the prompt"
	}
	if n := fewest(q.Rand, c, func(c *candidate) bool { return c.matched(q) == match && c.waiting() <= 2 }, (*candidate).tokens); n >= 0 {
		return n, "longest match"
	}
	most := 1.3 * average(c, (*candidate).tokens)
	if n := fewest(q.Rand, c, func(c *candidate) bool { return c.matched(q) == match && c.tokens() <= most }, (*candidate).tokens); n >= 0 {
		return n, "longest match, and no more tokens than others"
	}
	return least(q.Rand, c, (*candidate).tokens), "fewest tokens: those with the longest match have too many"
}}

// llmD is llm-d's and the Gateway API Inference Extension's default until 2026:
// weights of 2 for the queue, 2 for the KV cache, 3 for the prefix.
var llmD = policy{name: "llm-d", signals: []int{sigWaiting, sigKVUsage}, hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	shortest, longest := span(c, (*candidate).waiting)
	return least(q.Rand, c, func(c *candidate) float64 {
		queue := 1.0
		if longest > shortest {
			queue = (longest - c.waiting()) / (longest - shortest)
		}
		return -(2*queue + 2*(1-c.kvUsage()) + 3*c.matched(q))
	}), "best score of queue, KV cache and prefix"
}}

// llmDSticky is llm-d's default since (llm-d-router#1547, #1639: its prefix cache
// affinity filter, then its token load scorer): the least backlog among those
// that have four fifths of the prompt, unless it takes 18 s longer to compute
// than the least of the others. Its 1 % of chance exploration is left out: our
// index needs none.
var llmDSticky = policy{name: "llm-d-sticky", hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	const enough, patience = 0.8, 18
	backlog := func(c *candidate) float64 { return c.backlog(q.Now) }
	matched := func(c *candidate) float64 { return c.matched(q) }
	if _, match := span(c, matched); match < enough {
		return least(q.Rand, c, backlog), "least backlog: nobody has four fifths of the prompt"
	}
	sticky := fewest(q.Rand, c, func(c *candidate) bool { return matched(c) >= enough }, backlog)
	other := fewest(q.Rand, c, func(c *candidate) bool { return matched(c) < enough }, backlog)
	if other >= 0 && backlog(&c[sticky])-backlog(&c[other]) > patience {
		return other, "least backlog: those with the prompt have 18 s more"
	}
	return sticky, "has four fifths of the prompt"
}}

// smgCacheAware is the SGLang Model Gateway's: the fewest requests if they are
// out of balance, else the longest match, of more than three tenths, else the
// smallest tree.
var smgCacheAware = policy{name: "smg-cache-aware", signals: []int{sigRunning}, hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	matched := func(c *candidate) float64 { return c.matched(q) }
	low, high := span(c, (*candidate).requests)
	_, match := span(c, matched)
	switch {
	case high-low > 64 && high > 1.5*low:
		return least(q.Rand, c, (*candidate).requests), "fewest requests: they are out of balance"
	case match > 0.3:
		return least(q.Rand, c, func(c *candidate) float64 { return -matched(c) }), "longest match"
	}
	return least(q.Rand, c, func(c *candidate) float64 { return float64(c.cached) }), "smallest tree"
}}

// dynamo is NVIDIA Dynamo's, with an overlap weight of 1: what is to be computed,
// of those under way and of its own, and what is in use of the KV cache, with
// its own; the least. Dynamo counts a block that several use once, which our
// account does of all but the first of them. It believes its index whole: nothing
// here is weighed with our trust in it.
var dynamo = policy{name: "dynamo", hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	return least(q.Rand, c, func(c *candidate) float64 {
		w := &c.inst.row.work
		own := max(float64(q.PromptTokens)-float64(int(c.blocks)*q.BlockTokens), 0)
		compute, keep := float64(w.fresh.Load())+own, float64(w.kept.Load())+own
		return compute + keep
	}), "fewest blocks to compute and to keep"
}}

// loadAware is the vLLM production stack's (production-stack#1035, beta 1): the
// share of the prompt that matches, less how far the load is above the mean.
var loadAware = policy{name: "loadaware", signals: []int{sigRunning}, hits: true, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	usual := average(c, (*candidate).requests)
	return least(q.Rand, c, func(c *candidate) float64 {
		return (c.requests()-usual)/max(usual, 1) - c.matched(q)
	}), "best of match less load"
}}
