package model

import "testing"

func TestPrefixHits(t *testing.T) {
	r := newRig(t, nil)
	f := func(q Request, cached int) {
		t.Helper()
		s := r.submit(q)
		r.drain()
		if s.Cached() != cached {
			t.Errorf("%d of %d tokens cached, want %d", s.Cached(), s.PromptTokens(), cached)
		}
		r.check()
	}
	f(prompt(1, 18, 2, 4), 0)
	f(prompt(1, 18, 2, 4), 16) // the last block is not full
	f(prompt(1, 16, 2, 4), 12) // one token at least is computed
	f(prompt(1, 30, 2, 4), 16)
	f(prompt(2, 18, 2, 4), 0)
	f(Request{PromptTokens: 18, MaxTokens: 2}, 0)
	if got := r.Stats(); got.PrefixQueries != 18+18+16+30+18+18 || got.PrefixHits != 16+12+16 {
		t.Errorf("%d of %d hit", got.PrefixHits, got.PrefixQueries)
	}
}

// The next turn of a conversation finds what the engine said in the last one.
func TestOutputIsCached(t *testing.T) {
	r := newRig(t, nil)
	r.submit(prompt(1, 6, 15, 4)) // 21 tokens, 20 of them computed
	r.drain()
	next := r.submit(prompt(1, 28, 1, 4))
	r.drain()
	if next.Cached() != 20 {
		t.Errorf("%d tokens cached, want 20", next.Cached())
	}
}

func TestSharedBlocksAreStoredOnce(t *testing.T) {
	r := newRig(t, nil)
	r.submit(prompt(1, 16, 8, 4))
	r.step()
	r.submit(prompt(1, 20, 8, 4))
	r.step() // within its overhead
	r.step()
	// 16 tokens and one more for the first; the second shares four blocks of it.
	if got := r.Stats().UsedBlocks; got != 6 {
		t.Errorf("%d blocks used, want 6", got)
	}
	r.check()
	r.drain()
	r.check()
}

// Two that come together compute the same blocks twice; one copy is kept.
func TestSameContentTwice(t *testing.T) {
	r := newRig(t, nil)
	r.submit(prompt(1, 16, 1, 4))
	r.submit(prompt(1, 16, 1, 4))
	r.step()
	r.check()
	if got := r.blocks.known.len; got != 4 {
		t.Errorf("%d blocks known, want 4", got)
	}
}

func TestLeastRecentlyUsedIsEvicted(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.KVBlocks, p.MaxModelLen = 8, 32 })
	run := func(text uint32, tokens int) int {
		s := r.submit(prompt(text, tokens, 1, 4))
		r.drain()
		r.check()
		return s.Cached()
	}
	run(1, 14)
	run(2, 14)
	run(1, 14)                        // 1 is now the younger
	run(3, 14)                        // takes two free blocks and two of 2
	if got := run(1, 14); got != 12 { // still there
		t.Errorf("%d tokens of the younger cached, want 12", got)
	}
	if got := run(2, 14); got >= 12 {
		t.Errorf("%d tokens of the older cached, want fewer than 12", got)
	}
}

func TestEvictionIsLeafFirst(t *testing.T) {
	r := newRig(t, func(p *Profile) { p.KVBlocks, p.MaxModelLen = 8, 32 })
	run := func(q Request) *Sequence {
		s := r.submit(q)
		r.drain()
		return s
	}
	run(prompt(1, 25, 1, 4)) // six full blocks and one that is not
	run(prompt(2, 17, 1, 4)) // needs five: two without content, and three leaves of the first
	if got := run(prompt(1, 25, 1, 4)).Cached(); got != 12 {
		t.Errorf("%d tokens cached, want the first 12", got)
	}
}

func TestHashDoesNotDependOnBlocks(t *testing.T) {
	var h Hasher
	if h.Sum() == 0 {
		t.Error("the hash of nothing is none")
	}
	seen := map[Hash]int{h.Sum(): 0}
	for i := range 10_000 {
		h.Add(uint32(i % 3))
		if before, ok := seen[h.Sum()]; ok {
			t.Fatalf("the first %d tokens have the hash of the first %d", i+1, before)
		}
		seen[h.Sum()] = i + 1
	}
	a, b := prompt(1, 32, 0, 4), prompt(1, 32, 0, 16)
	if a.Blocks[3] != b.Blocks[0] || a.Blocks[7] != b.Blocks[1] {
		t.Error("the same prefix has another hash in larger blocks")
	}
}
