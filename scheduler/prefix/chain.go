package prefix

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// BlockBytes is the raw prompt text of a block: about 64 tokens.
const BlockBytes = 256

// Odd, without a pattern: digits of the golden ratio and of pi.
const (
	golden = 0x9e3779b97f4a7c15
	circle = 0x243f6a8885a308d3
)

// Seed is where the chains of a model begin, so that the same text for two
// models has nothing in common.
func Seed(model string) uint64 { return xxh3.HashString(model) }

// Chain appends the hashes of text's whole blocks to dst, at most `most` of
// them, each over its block and all before it. What is left of the text beyond
// the last whole block has no hash. No hash is 0.
//
// A text that was cut at a block's end goes on with the last hash as its seed.
func Chain(dst []uint64, seed uint64, text []byte, most int) []uint64 {
	for ; len(text) >= BlockBytes && most > 0; most-- {
		// The blocks are hashed apart, so that the CPU works on several at once:
		// only this multiplication waits for the one before.
		high, low := bits.Mul64(seed^golden, xxh3.Hash(text[:BlockBytes])^circle)
		seed = max(high^low, 1)
		dst = append(dst, seed)
		text = text[BlockBytes:]
	}
	return dst
}
