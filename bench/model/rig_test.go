package model

import (
	"testing"
	"time"
)

// rig is an engine with a clock of its own.
type rig struct {
	*Engine
	t   testing.TB
	now time.Duration
}

// small has round numbers: 10 ms before a request may be scheduled, 1 ms for
// each prompt token, 100 ms for a step that decodes.
func small() Profile {
	return Profile{
		Name: "small", Overhead: 10 * time.Millisecond, PrefillToken: time.Millisecond, Decode: 100 * time.Millisecond,
		BlockSize: 4, KVBlocks: 16, MaxNumSeqs: 4, MaxBatchedTokens: 32, MaxModelLen: 64,
	}
}

func newRig(t testing.TB, change func(p *Profile)) *rig {
	t.Helper()
	p := small()
	if change != nil {
		change(&p)
	}
	e, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Engine: e, t: t}
}

func (r *rig) submit(q Request) *Sequence {
	r.t.Helper()
	s, err := r.Submit(r.now, q)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// step runs one step, waiting for its beginning if need be.
func (r *rig) step() (Step, []*Sequence) {
	r.t.Helper()
	if from, ok := r.Next(); ok {
		r.now = max(r.now, from)
	}
	step, ok := r.Begin(r.now)
	if !ok {
		r.t.Fatalf("at %v: nothing to compute", r.now)
	}
	r.now += step.Duration
	return step, r.End(r.now)
}

// drain runs until nothing is left.
func (r *rig) drain() {
	r.t.Helper()
	for {
		if _, ok := r.Next(); !ok {
			return
		}
		r.step()
	}
}

// check walks every block and compares what it finds with what is counted.
func (r *rig) check() {
	r.t.Helper()
	b := r.blocks
	refs := make([]int32, len(b.all))
	for _, s := range r.running {
		for _, i := range s.chain {
			refs[i]++
		}
		if s.room != len(s.chain)*r.profile.BlockSize || s.computed+s.scheduled > s.room || s.computed > s.length {
			r.t.Fatalf("a sequence of %d tokens has %d computed, %d scheduled, room for %d in %d blocks",
				s.length, s.computed, s.scheduled, s.room, len(s.chain))
		}
	}
	free := 0
	for i := b.all[b.anchor].next; i != b.anchor; i = b.all[i].next {
		if refs[i] != 0 {
			r.t.Fatalf("block %d is free and in %d chains", i, refs[i])
		}
		free++
	}
	used := 0
	for i, x := range b.all[:b.anchor] {
		if x.refs != refs[i] {
			r.t.Fatalf("block %d has %d references, is in %d chains", i, x.refs, refs[i])
		}
		if x.refs > 0 {
			used++
		}
		if x.hash != 0 && b.find(x.hash) != int32(i) {
			r.t.Fatalf("block %d is not found by its hash", i)
		}
	}
	if free != b.free || used+free != r.profile.KVBlocks || r.Stats().UsedBlocks != used {
		r.t.Fatalf("%d used and %d free of %d blocks; counted %d free, %d used",
			used, free, r.profile.KVBlocks, b.free, r.Stats().UsedBlocks)
	}
	named := 0
	for _, x := range b.all[:b.anchor] {
		if x.hash != 0 {
			named++
		}
	}
	if named != b.known.len {
		r.t.Fatalf("%d blocks have a hash, %d are known", named, b.known.len)
	}
}

// prompt makes a request whose tokens are 0, 1, 2 … of one text, and whose
// output goes on in the same way.
func prompt(text uint32, tokens, output, blockSize int) Request {
	var h Hasher
	r := Request{PromptTokens: tokens, MaxTokens: output, Blocks: []Hash{}}
	read := func() { h.Add(text<<16 | uint32(h.Tokens())) }
	for h.Tokens() < tokens {
		read()
		if h.Tokens()%blockSize == 0 {
			r.Blocks = append(r.Blocks, h.Sum())
		}
	}
	r.Output = func() Hash {
		for read(); h.Tokens()%blockSize != 0; {
			read()
		}
		return h.Sum()
	}
	return r
}
