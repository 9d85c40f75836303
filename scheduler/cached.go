package scheduler

import (
	"math"
	"sync/atomic"

	"penstock/scheduler/engine"
	"penstock/scheduler/prefix"
)

const (
	// mostBlocks bounds the index of all instances: 40 bytes each.
	mostBlocks = 8 << 20
	// firstBlocks is what an instance is thought to have room for that does not
	// say its capacity.
	firstBlocks = 1 << 15
	// mostAnswer bounds the blocks that stand for an answer.
	mostAnswer = 128
	// usualBlock is how many tokens a block of text has, until requests tell.
	usualBlock = prefix.BlockBytes / 4
)

// hits looks up how much of the prompt each candidate has.
func (s *Scheduler) hits(sc *scratch, q *Query, from []candidate) {
	s.affine(sc, q, from)
	if len(q.Prefix) == 0 {
		return
	}
	if s.oracle != nil {
		for n := range from {
			from[n].depth = int32(s.oracle(from[n].inst, q))
			from[n].blocks = from[n].depth
		}
		return
	}
	sc.slots, sc.found = sc.slots[:0], sc.found[:0]
	for _, c := range from {
		sc.slots, sc.found = append(sc.slots, c.inst.slot), append(sc.found, 0)
	}
	s.cached.Match(q.Prefix, sc.slots, sc.found)
	for n := range from {
		c := &from[n]
		c.depth, c.blocks = sc.found[n], int32(prefix.Units(q.Prefix, int(sc.found[n])))
		c.cached = int32(s.cached.Len(sc.slots[n]))
	}
}

// ties are what draws a request to an instance beside its prompt: its session,
// and the adapter that it wants. Each is a block of its own in the index.
func (s *Scheduler) ties(to []uint64, q *Query) []uint64 {
	if q.Session != 0 {
		to = append(to, prefix.Fine(next(q.Session)|1))
	}
	if s.snapshot.Load().isAdapter(q.Model) {
		to = append(to, prefix.Fine(prefix.Seed(q.Model)|1))
	}
	return to
}

// affine counts which of them each candidate has had lately.
func (s *Scheduler) affine(sc *scratch, q *Query, from []candidate) {
	if sc.chain = s.ties(sc.chain[:0], q); len(sc.chain) == 0 {
		return
	}
	sc.slots, sc.found = sc.slots[:0], sc.found[:0]
	for _, c := range from {
		sc.slots, sc.found = append(sc.slots, c.inst.slot), append(sc.found, 0)
	}
	for n := range sc.chain {
		s.cached.Match(sc.chain[n:n+1], sc.slots, sc.found)
		for k := range from {
			from[k].ties += sc.found[k]
		}
	}
}

// remember notes that an instance was given the prompt. Its answer will take
// room too: blocks that nobody asks for stand for it, until it comes back as
// part of the next prompt.
func (s *Scheduler) remember(sc *scratch, c *candidate, q *Query, output int64) prefix.Added {
	sc.chain = s.ties(sc.chain[:0], q)
	for n := range sc.chain {
		s.cached.Insert(c.inst.slot, sc.chain[n:n+1])
	}
	if len(q.Prefix) == 0 {
		return prefix.Added{}
	}
	if d := int(c.depth); d > 0 && d < len(q.Prefix) {
		sc.chain = answer(sc.chain[:0], q.Prefix[d-1], mostAnswer)
		s.cached.Drop(c.inst.slot, sc.chain)
	}
	return s.insert(sc, c.inst, q.Prefix, int(output)/max(q.BlockTokens, 1))
}

// remembered notes that the answer is whole: only now does the engine let go of
// its blocks, all of which it has, and they are as good as new. Without that,
// long answers would seem to have been evicted while they are made.
func (s *Scheduler) remembered(i *Instance, prompt []uint64, blocks int) {
	if len(prompt) == 0 || i.said.kvSize.Load() == 0 { // who does not say its capacity is not known so well
		return
	}
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	s.insert(sc, i, prompt, blocks)
}

// insert puts a prompt and so many blocks of its answer into the index.
func (s *Scheduler) insert(sc *scratch, i *Instance, prompt []uint64, blocks int) prefix.Added {
	sc.chain = append(sc.chain[:0], prompt...)
	sc.chain = answer(sc.chain, prompt[len(prompt)-1], blocks)
	return s.cached.Insert(i.slot, sc.chain)
}

// answer appends the blocks that stand for the answer to a prompt that ends with
// last.
func answer(to []uint64, last uint64, blocks int) []uint64 {
	for range min(blocks, mostAnswer) {
		last = max(prefix.Fine(next(last)), 1)
		to = append(to, last)
	}
	return to
}

// openCache gives the instance a place in the index. One that gets none has the
// place of nobody, in which nothing is kept.
func (s *Scheduler) openCache(i *Instance) {
	slot, err := s.cached.Open(firstBlocks)
	if err != nil {
		i.log.Warn("what it has cached is not known; decisions do without", "err", err)
		slot = s.nowhere
	}
	i.slot = slot
}

func (s *Scheduler) closeCache(i *Instance) {
	if i.slot != s.nowhere {
		s.cached.Close(i.slot)
	}
}

// sizeCache tells the index how much the engine has room for.
func (s *Scheduler) sizeCache(i *Instance, r *engine.Reading) {
	if r.Has.Has(engine.HasCapacity) && r.KVCapacityTokens != i.sized && i.slot != s.nowhere {
		i.sized = r.KVCapacityTokens
		s.cached.Resize(i.slot, int(min(r.KVCapacityTokens/usualBlock, mostBlocks)))
	}
}

// evidence is what an engine has said of its cache, beside what we believed. It
// belongs to the keeper.
type evidence struct {
	hits, queries   uint64
	found, computed int64
}

const (
	// evidenceFrom is how many prompt tokens are worth a comparison.
	evidenceFrom = 4000
	// mostlyOurs is the share of what the engine looked up that has to be ours.
	mostlyOurs = 0.7
)

// compare takes in what an engine says that it found in its cache: an engine
// that caches nothing, or less than it has room for, is not believed to have
// what it does not.
func (i *Instance) compare(r *engine.Reading) {
	if !r.Has.Has(engine.HasPrefix) {
		return
	}
	e, w := &i.cacheSaid, &i.row.work
	now := evidence{r.PrefixHits, r.PrefixQueries, w.found.Load(), w.computed.Load()}
	if now.queries < e.queries || now.hits < e.hits { // it was restarted
		*e = now
		return
	}
	queries, found := float64(now.queries-e.queries), float64(now.found-e.found)
	ours := found + float64(now.computed-e.computed)
	if queries == 0 || ours < evidenceFrom {
		return
	}
	if ours < mostlyOurs*queries { // what others found or missed says nothing of ours
		*e = now
		return
	}
	truth := ours * float64(now.hits-e.hits) / queries
	*e = now
	i.trust.add(found, truth)
}

// trust is the share of what we believe to be cached that is: what engines said,
// over what we believed, of as many tokens as it remembers. It says so little of
// a few requests that only sums of many count.
type trust struct {
	believed, true atomic.Uint64 // float64s
	untrue         atomic.Uint64 // 1 less their share
}

// trustOver is how many tokens are remembered, and trusted without any evidence.
const trustOver = 100_000

// add may be called from any goroutine; two at once may lose one.
func (t *trust) add(believed, truth float64) {
	b, u := math.Float64frombits(t.believed.Load())+believed, math.Float64frombits(t.true.Load())+truth
	if keep := trustOver / b; keep < 1 {
		b, u = b*keep, u*keep
	}
	u = min(u, b) // more than all is no excuse for later
	t.believed.Store(math.Float64bits(b))
	t.true.Store(math.Float64bits(u))
	t.untrue.Store(math.Float64bits(max(1-(u+evidenceFrom)/(b+evidenceFrom), 0)))
}

// share is 1 where nothing speaks against it.
func (t *trust) share() float64 { return 1 - math.Float64frombits(t.untrue.Load()) }
