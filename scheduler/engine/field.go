package engine

import "slices"

// field is one number that an engine may say.
type field uint8

const (
	running field = iota
	waiting
	kvUsage
	kvTokens
	kvBlocks
	blockTokens
	kvUsedTokens
	kvUsedBlocks
	concurrency // requests of full length that there is room for
	limit       // requests that run at once, at most
	promptTokens
	generationTokens
	prefixQueries
	prefixHits
	awake
	numFields

	// version is text, and asked for apart.
	version = numFields
)

// fieldNames are the keys of Custom.Fields.
var fieldNames = [numFields]string{
	"running", "waiting", "kv_usage", "kv_tokens", "kv_blocks", "block_tokens", "kv_used_tokens", "kv_used_blocks",
	"concurrency", "max_requests", "prompt_tokens", "generation_tokens", "prefix_queries", "prefix_hits", "awake",
}

// Fields lists what a Custom may map, as INTERFACE.md's `engines` spells it.
func Fields() []string { return slices.Clone(fieldNames[:]) }

func fieldNamed(name string) (field, bool) {
	i := slices.Index(fieldNames[:], name)
	return field(i), i >= 0
}

// bit is the signal that the field is, or is a part of.
func (f field) bit() Signals {
	switch f {
	case running:
		return HasRunning
	case waiting:
		return HasWaiting
	case kvUsage, kvUsedTokens, kvUsedBlocks:
		return HasKVUsage
	case promptTokens, generationTokens:
		return HasTokens
	case prefixQueries, prefixHits:
		return HasPrefix
	case kvTokens, kvBlocks, blockTokens:
		return HasCapacity
	case concurrency, limit:
		return HasConcurrency
	case awake:
		return HasSleep
	}
	return 0
}

// fold joins what two ranks of one instance say. Counts add up. Of the usages
// the highest tells: a request may be given to that rank. One rank asleep keeps
// whatever it is given.
func (f field) fold(a, b float64) float64 {
	switch f {
	case kvUsage, blockTokens:
		return max(a, b)
	case awake:
		return min(a, b)
	}
	return a + b
}
