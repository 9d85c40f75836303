package scheduler

import "penstock/scheduler/engine"

// Tell is what a simulation says in place of a keeper: a report, as it was read
// at r.At, of an instance that is well. All that it has is believed. Not beside
// Run.
func (s *Scheduler) Tell(i *Instance, r *engine.Reading) {
	if r.PromptTokens+r.GenerationTokens < i.said.tokens.Load() { // it was restarted
		s.cached.Clear(i.slot)
	}
	s.sizeCache(i, r)
	i.compare(r)
	i.report(r, i.row.inFlight.Load(), i.row.ended.Load())
	i.said.given.Store(s.given.Load())
	i.said.live.Store(uint32(r.Has))
	for n := range i.signals {
		if bit := signalSources[n].has; bit != 0 && r.Has.Has(bit) {
			i.signals[n].death.Store(alive)
		}
	}
	if i.State() != Healthy {
		i.recovered()
	}
}

// Serves says what an instance serves, in place of a keeper.
func (s *Scheduler) Serves(i *Instance, models []engine.Model) {
	i.models.Store(&models)
	s.republish()
}

// Oracle replaces the index of cached prompts by one that knows: how many blocks
// of the query's an instance has. Before the first decision.
func (s *Scheduler) Oracle(blocks func(*Instance, *Query) int) { s.oracle = blocks }
