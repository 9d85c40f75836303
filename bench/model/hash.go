package model

import "math/bits"

// Hash names the content of a KV block and of all before it: equal hashes are
// equal prefixes. Zero is none.
type Hash uint64

// Hasher reads a sequence's tokens one after the other. Its state is a digest
// of all of them, so a block's hash, taken when the block is full, is chained to
// its parents without further ado, and the digest of a prompt does not depend on
// the size of the blocks. The zero value is ready, and a copy goes on from where
// it was made.
type Hasher struct {
	state  uint64
	tokens int
}

// Add reads one token.
func (h *Hasher) Add(token uint32) {
	h.state = (bits.RotateLeft64(h.state, 23) ^ uint64(token)) * 0x9e3779b97f4a7c15
	h.tokens++
}

// Tokens is how many were read.
func (h *Hasher) Tokens() int { return h.tokens }

// Sum is the hash of all tokens read.
func (h *Hasher) Sum() Hash {
	if sum := Mix(h.state + uint64(h.tokens)); sum != 0 {
		return Hash(sum)
	}
	return 1
}

// Mix spreads x over 64 bits (the finalizer of SplitMix64).
func Mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
