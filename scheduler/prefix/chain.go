package prefix

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

const (
	// BlockBytes is the raw prompt text of a block: about 64 tokens.
	BlockBytes = 256
	// Of long prompts, nobody has to know so exactly how much is cached: after so
	// many blocks they are coarse, of so many others' size. Measured on 220 KB: 268
	// blocks instead of 880.
	fineBlocks = 64
	coarse     = 4
	// coarseMark is set in the hash of a coarse block.
	coarseMark = 1 << 63
)

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
// A text that was cut at a block's end goes on with the last hash as its seed,
// and in dst those before it.
func Chain(dst []uint64, seed uint64, text []byte, most int) []uint64 {
	for ; most > 0; most-- {
		size, mark := BlockBytes, uint64(0)
		if len(dst) >= fineBlocks {
			size, mark = coarse*BlockBytes, coarseMark
		}
		if len(text) < size {
			break
		}
		// The blocks are hashed apart, so that the CPU works on several at once:
		// only this multiplication waits for the one before.
		high, low := bits.Mul64(seed^golden, xxh3.Hash(text[:size])^circle)
		seed = max(Fine(high^low), 1) | mark
		dst = append(dst, seed)
		text = text[size:]
	}
	return dst
}

// Blocks is how many hashes a text of so many bytes has.
func Blocks(bytes int) int {
	if n := bytes / BlockBytes; n <= fineBlocks {
		return n
	}
	return fineBlocks + (bytes-fineBlocks*BlockBytes)/(coarse*BlockBytes)
}

// Fine is a hash as one of a block of BlockBytes.
func Fine(h uint64) uint64 { return h &^ coarseMark }

// Units is how many BlockBytes the first n blocks of a prompt's chain have.
func Units(chain []uint64, n int) int {
	if n <= fineBlocks || size(chain[n-1]) == 1 {
		return n
	}
	return fineBlocks + (n-fineBlocks)*coarse
}

// sum is how many BlockBytes any blocks have: those of an answer, behind a long
// prompt's, are fine again.
func sum(blocks []uint64) (n int) {
	for _, h := range blocks {
		n += size(h)
	}
	return n
}

// head is as much of a chain as has no more than most BlockBytes.
func head(chain []uint64, most int) []uint64 {
	for i, h := range chain {
		if most -= size(h); most < 0 {
			return chain[:i]
		}
	}
	return chain
}

// size is how many BlockBytes a block has.
func size(h uint64) int {
	if h&coarseMark != 0 {
		return coarse
	}
	return 1
}
