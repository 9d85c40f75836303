package workload

import (
	"slices"
	"testing"

	"penstock/bench/model"
)

func hashes(spans ...Span) []model.Hash {
	list, _ := new(Request).prompt(spans...).Hashes(nil)
	return list
}

func TestHashesAreThePrefixes(t *testing.T) {
	f := func(common int, a, b []model.Hash) {
		t.Helper()
		n := 0
		for n < min(len(a), len(b)) && a[n] == b[n] {
			n++
		}
		if n != common {
			t.Errorf("%d blocks in common, want %d", n, common)
		}
		for i := n; i < len(a); i++ {
			if slices.Contains(b, a[i]) {
				t.Errorf("block %d is found again after a difference", i)
			}
		}
	}
	f(4, hashes(Span{1, 64}), hashes(Span{1, 64}))
	f(4, hashes(Span{1, 79}), hashes(Span{1, 100}))
	f(3, hashes(Span{1, 50}, Span{2, 100}), hashes(Span{1, 50}, Span{3, 100}))
	f(0, hashes(Span{1, 50}), hashes(Span{2, 50}))
	f(3, hashes(Span{1, 48}, Span{2, 32}), hashes(Span{1, 48}, Span{4, 8}, Span{2, 24}))
	f(0, hashes(Span{1, 8}, Span{2, 64}), hashes(Span{2, 64}))
	if got := len(hashes(Span{1, 5}, Span{2, 11}, Span{3, 15})); got != 1 {
		t.Errorf("%d full blocks of 31 tokens, want 1", got)
	}
}

// The next turn's prompt finds what the engine has kept of the answer.
func TestAnswerGoesOn(t *testing.T) {
	for tokens := 1; tokens < 40; tokens++ {
		r := (&Request{Answer: 9}).prompt(Span{1, tokens})
		said, tail := r.Hashes(nil)
		for len(said) < 6 {
			said = append(said, tail.Next())
		}
		want := hashes(Span{1, tokens}, Span{9, 6*Grain - tokens}, Span{5, 100})[:6]
		if !slices.Equal(said, want) {
			t.Errorf("a prompt of %d tokens: the answer's blocks are not the next prompt's", tokens)
		}
	}
}
