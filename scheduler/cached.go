package scheduler

import (
	"penstock/scheduler/engine"
	"penstock/scheduler/prefix"
)

const (
	// mostBlocks bounds the index of all instances: 40 bytes each.
	mostBlocks = 8 << 20
	// firstBlocks is what an instance is thought to have room for that does not
	// say its capacity.
	firstBlocks = 4096
	// usualBlock is how many tokens a block of text has, until requests tell.
	usualBlock = prefix.BlockBytes / 4
)

// hits looks up how much of the prompt each candidate has.
func (sc *scratch) hits(x *prefix.Index, q *Query, from []candidate) {
	if len(q.Prefix) == 0 {
		return
	}
	sc.slots, sc.found = sc.slots[:0], sc.found[:0]
	for _, c := range from {
		sc.slots, sc.found = append(sc.slots, c.inst.slot), append(sc.found, 0)
	}
	x.Match(q.Prefix, sc.slots, sc.found)
	for n := range from {
		from[n].blocks = sc.found[n]
	}
}

// remember notes that an instance was given the prompt.
func (s *Scheduler) remember(i *Instance, q *Query) prefix.Added {
	if len(q.Prefix) == 0 {
		return prefix.Added{}
	}
	return s.cached.Insert(i.slot, q.Prefix)
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
