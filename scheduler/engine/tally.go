package engine

import "math"

// field is one number that a metrics page may say.
type field uint8

const (
	running field = iota
	waiting
	kvUsage
	kvTokens
	kvBlocks
	blockTokens
	concurrency
	promptTokens
	generationTokens
	prefixQueries
	prefixHits
	numFields
)

// highest reports whether the ranks of one instance are taken by their highest
// value and not by their sum.
func (f field) highest() bool { return f == kvUsage || f == blockTokens }

// tally adds up the samples of one page, over ranks and over old and new names
// of the same thing.
type tally struct {
	samples int
	cells   [numFields]cell
}

type cell struct {
	value float64
	age   uint8
	set   bool
}

func (t *tally) add(s source, v float64) {
	t.samples++
	c := &t.cells[s.to]
	switch {
	case !c.set || s.age < c.age:
		*c = cell{value: v, age: s.age, set: true}
	case s.age > c.age:
		// A newer name of the same thing has spoken.
	case s.to.highest():
		c.value = max(c.value, v)
	default:
		c.value += v
	}
}

func (t *tally) has() Signals {
	var s Signals
	set := func(bit Signals, ok bool) {
		if ok {
			s |= bit
		}
	}
	c := &t.cells
	set(HasRunning, c[running].set)
	set(HasWaiting, c[waiting].set)
	set(HasKVUsage, c[kvUsage].set)
	set(HasTokens, c[promptTokens].set || c[generationTokens].set)
	// A ratio of counters of two ages could mix tokens with blocks.
	set(HasPrefix, c[prefixQueries].set && c[prefixHits].set && c[prefixQueries].age == c[prefixHits].age)
	set(HasCapacity, t.capacity() > 0)
	set(HasConcurrency, c[concurrency].value > 0)
	return s
}

// capacity is the KV cache's size in tokens, 0 if unknown. Ranks have one
// block size, so the sum of their blocks can be multiplied once.
func (t *tally) capacity() float64 {
	if c := t.cells[kvTokens]; c.value > 0 {
		return c.value
	}
	return t.cells[kvBlocks].value * t.cells[blockTokens].value
}

// fill writes what the page said into r, zeroes for what it did not.
func (t *tally) fill(r *Reading) {
	c := &t.cells
	r.Has = t.has()
	r.Running, r.Waiting = c[running].value, c[waiting].value
	r.KVUsage = min(c[kvUsage].value, 1)
	r.KVCapacityTokens = int64(whole(t.capacity()))
	r.MaxConcurrency = c[concurrency].value
	r.PromptTokens = whole(c[promptTokens].value)
	r.GenerationTokens = whole(c[generationTokens].value)
	r.PrefixQueries, r.PrefixHits = 0, 0
	if r.Has.Has(HasPrefix) {
		r.PrefixQueries = whole(c[prefixQueries].value)
		r.PrefixHits = whole(c[prefixHits].value)
	}
}

// whole converts a value that is not negative; what a hostile page may claim
// beyond int64 is cut there, where Go leaves the conversion undefined.
func whole(v float64) uint64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return uint64(v)
}
