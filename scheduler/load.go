package scheduler

import "penstock/scheduler/engine"

// load is what an instance has to do now: its last report, carried forward by
// what we have seen since. It has four words: one of more is kept in memory, and
// copied slowly.
type load struct {
	requests int64 // in it: ours, and what others sent
	waiting  int64 // of them in the engine's own queue
	foreign  int64 // of them, that are not ours
	tokens   int64 // of work: prompts not yet answered, output still to come
}

// load reads the instance's account. What others sent and what waits inside is
// counted with requestTokens each: nobody told us their sizes.
func (i *Instance) load(requestTokens int64) load {
	live, foreign := i.live(), i.said.foreign.Load()
	if !live.Has(engine.HasRunning) {
		foreign = i.others()
	}
	waiting := i.waiting(live)
	return load{
		requests: i.row.inFlight.Load() + foreign,
		waiting:  waiting,
		foreign:  foreign,
		tokens:   i.row.prefill.Load() + i.row.decode.Load() + (foreign+waiting)*requestTokens,
	}
}

// ours are the requests given to it that have not ended.
func (l load) ours() int64 { return l.requests - l.foreign }

// waiting is the engine's queue: as reported, less one for each request of ours
// that ended since, because the engine fills its place from the queue.
func (i *Instance) waiting(live engine.Signals) int64 {
	if !live.Has(engine.HasWaiting) {
		return 0
	}
	since := int64(i.row.ended.Load() - i.said.ended.Load())
	return max(i.said.waiting.Load()-since, 0)
}
