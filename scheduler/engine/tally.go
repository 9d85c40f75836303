package engine

import "math"

// tally adds up the samples of one answer, over ranks and over old and new
// names of the same thing.
type tally struct {
	samples int
	found   uint64 // the page's sources that have spoken, a bit for each
	cells   [numFields]cell
}

type cell struct {
	value float64
	age   uint8
	set   bool
}

func (t *tally) add(s *source, v float64) {
	v *= s.scale
	t.samples++
	t.found |= 1 << s.n
	c := &t.cells[s.to]
	switch {
	case !c.set || s.age < c.age:
		*c = cell{value: v, age: s.age, set: true}
	case s.age > c.age:
		// A newer name of the same thing has spoken.
	default:
		c.value = s.to.fold(c.value, v)
	}
}

// over lays t over base: what t does not say is base's.
func (t *tally) over(base *tally) {
	for f := range t.cells {
		if !t.cells[f].set {
			t.cells[f] = base.cells[f]
		}
	}
}

// tokens is the sum of both token counters, which only a restart takes back.
func (t *tally) tokens() float64 {
	return t.cells[promptTokens].value + t.cells[generationTokens].value
}

func (t *tally) has() Signals {
	var s Signals
	set := func(bit Signals, ok bool) {
		if ok {
			s |= bit
		}
	}
	c := &t.cells
	_, usage := t.usage()
	set(HasRunning, c[running].set)
	set(HasWaiting, c[waiting].set)
	set(HasKVUsage, usage)
	set(HasTokens, c[promptTokens].set || c[generationTokens].set)
	// A ratio of counters of two ages could mix tokens with blocks.
	set(HasPrefix, c[prefixQueries].set && c[prefixHits].set && c[prefixQueries].age == c[prefixHits].age)
	set(HasCapacity, t.capacity() > 0)
	set(HasConcurrency, c[concurrency].value > 0 || c[limit].value > 0)
	set(HasSleep, c[awake].set)
	return s
}

// usageSlack is how far above 1 a usage is rounding. What is further is no
// usage: a percentage, mostly.
const usageSlack = 0.01

// usage of the KV cache, 0..1: as said, or as the tokens or blocks in use say.
// One beyond 1 is left as it is: whoever made it 1 would call the engine full.
// The engines that leave the division to us have no ranks in one process.
func (t *tally) usage() (float64, bool) {
	c := &t.cells
	switch {
	case c[kvUsage].set:
		if v := c[kvUsage].value; v > 1+usageSlack {
			return v, true
		}
		return min(c[kvUsage].value, 1), true
	case c[kvUsedTokens].set && c[kvTokens].value > 0:
		return min(c[kvUsedTokens].value/c[kvTokens].value, 1), true
	case c[kvUsedBlocks].set && c[kvBlocks].value > 0:
		return min(c[kvUsedBlocks].value/c[kvBlocks].value, 1), true
	}
	return 0, false
}

// capacity is the KV cache's size in tokens, 0 if unknown. Ranks have one
// block size, so the sum of their blocks can be multiplied once.
func (t *tally) capacity() float64 {
	if c := t.cells[kvTokens]; c.value > 0 {
		return c.value
	}
	return t.cells[kvBlocks].value * t.cells[blockTokens].value
}

// fill writes what was said into r, zeroes for what was not.
func (t *tally) fill(r *Reading) {
	c := &t.cells
	r.Has = t.has()
	r.Running, r.Waiting = c[running].value, c[waiting].value
	r.KVUsage, _ = t.usage()
	r.KVCapacityTokens = int64(whole(t.capacity()))
	r.MaxConcurrency, r.Limit = c[concurrency].value, c[limit].value
	r.PromptTokens = whole(c[promptTokens].value)
	r.GenerationTokens = whole(c[generationTokens].value)
	r.PrefixQueries, r.PrefixHits = 0, 0
	if r.Has.Has(HasPrefix) {
		r.PrefixQueries = whole(c[prefixQueries].value)
		r.PrefixHits = whole(c[prefixHits].value)
	}
	r.Asleep = c[awake].set && c[awake].value == 0
}

// whole converts a value that is not negative; what a hostile page may claim
// beyond int64 is cut there, where Go leaves the conversion undefined.
func whole(v float64) uint64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return uint64(v)
}
