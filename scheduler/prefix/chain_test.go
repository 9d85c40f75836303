package prefix

import (
	"slices"
	"testing"
)

func TestChainOfEveryCut(t *testing.T) {
	text := prompt(1, 10*BlockBytes+100)
	whole := Chain(nil, 7, text, 100)
	if len(whole) != 10 {
		t.Fatalf("%d blocks of %d bytes, want 10", len(whole), len(text))
	}
	for n := range len(text) {
		if got := Chain(nil, 7, text[:n], 100); !slices.Equal(got, whole[:n/BlockBytes]) {
			t.Fatalf("the first %d bytes have other blocks than the whole", n)
		}
	}
	for n := range 10 {
		got := Chain(nil, 7, text[:n*BlockBytes], 100)
		seed := uint64(7)
		if n > 0 {
			seed = got[n-1]
		}
		if got = Chain(got, seed, text[n*BlockBytes:], 100); !slices.Equal(got, whole) {
			t.Fatalf("cut after block %d, the text has other blocks than in one piece", n)
		}
		if got := Chain(nil, 7, text, n); !slices.Equal(got, whole[:n]) {
			t.Fatalf("the most of %d gives %d blocks", n, len(got))
		}
	}
	if got := Chain([]uint64{1, 2}, 7, text, 1); !slices.Equal(got, []uint64{1, 2, whole[0]}) {
		t.Errorf("appended: got %x", got)
	}
}

// A byte changes its block and all after it.
func TestChainHashesAllBefore(t *testing.T) {
	text := prompt(1, 8*BlockBytes)
	whole := Chain(nil, 7, text, 8)
	for i := range text {
		text[i] ^= 1
		for j, h := range Chain(nil, 7, text, 8) {
			if changed := h != whole[j]; changed != (j >= i/BlockBytes) {
				t.Fatalf("byte %d changed: block %d changed: %v", i, j, changed)
			}
		}
		text[i] ^= 1
	}
}

// Texts of equal blocks have different hashes, and what two models are asked
// has no hash in common.
func TestChainRepeatsNoHash(t *testing.T) {
	seen := map[uint64]bool{0: true}
	for _, model := range []string{"", "a", "b", "Qwen/Qwen3-32B"} {
		for _, h := range Chain(nil, Seed(model), make([]byte, 1000*BlockBytes), 1000) {
			if seen[h] {
				t.Fatalf("model %q: hash %x comes twice, or is 0", model, h)
			}
			seen[h] = true
		}
	}
}

// Gateways of a cluster tell each other hashes: they are the same everywhere.
func TestChainIsTheSameEverywhere(t *testing.T) {
	got := Chain(nil, Seed("m"), prompt(1, 3*BlockBytes), 3)
	want := []uint64{0x29a3dd402339e834, 0x2f7a3c049b6abe9e, 0x68ed721b87acb182}
	if !slices.Equal(got, want) {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

// The blocks of a long text are larger after its beginning, and so many as
// Blocks says, wherever it ends.
func TestLongTextsHaveCoarseBlocks(t *testing.T) {
	text := prompt(1, (fineBlocks+10*coarse)*BlockBytes)
	whole := Chain(nil, 7, text, len(text))
	if len(whole) != fineBlocks+10 || Units(whole, len(whole)) != fineBlocks+10*coarse {
		t.Fatalf("%d blocks that are worth %d, want %d and %d", len(whole), Units(whole, len(whole)), fineBlocks+10, fineBlocks+10*coarse)
	}
	for n := range len(text) {
		if got := Blocks(n); got > len(whole) || got != len(Chain(nil, 7, text[:n], len(text))) {
			t.Fatalf("%d bytes are said to have %d blocks", n, got)
		}
	}
	for n, h := range whole {
		if (size(h) == coarse) != (n >= fineBlocks) {
			t.Errorf("block %d has size %d", n, size(h))
		}
	}
}
