package scheduler

import (
	"time"

	"penstock/scheduler/engine"
)

// prefillFactor is how many times the predicted prefill is still no hang.
const prefillFactor = 3

// progress tells an instance that hangs from one that takes its time: whether
// anything moves in it while it has work of ours. It belongs to the keeper.
type progress struct {
	moved  uint64 // row.moved when last looked
	ended  uint64
	tokens uint64    // the engine's counters
	at     time.Time // when something moved, or the work began
	speed  speed

	counts   bool // the counters were believed when last looked
	stepwise int  // times that the counters rose with no request ending
}

// look notes what has moved since the last look.
func (p *progress) look(i *Instance, now time.Time) {
	p.speed.learn(&i.row.prompts)
	moved, ended := i.row.moved.Load(), i.row.ended.Load()
	tokens := i.said.tokens.Load()
	if tokens > p.tokens && ended == p.ended && i.said.foreign.Load() == 0 && i.row.inFlight.Load() > 0 {
		p.stepwise++
	}
	counts := i.live().Has(engine.HasTokens)
	if counts && !p.counts { // only now can they prove anything
		p.at = now
	}
	p.counts = counts
	if moved != p.moved || ended != p.ended || tokens != p.tokens || i.row.inFlight.Load() == 0 || p.at.IsZero() {
		p.at = now
	}
	p.moved, p.ended, p.tokens = moved, ended, tokens
}

// countsSteps says whether the engine's counters rise with every step, and not
// only when a request has ended: then they prove that it works, or does not.
// vLLM's do (vllm/v1/metrics/loggers.py, record); of others it is learned.
func (p *progress) countsSteps(i *Instance, live engine.Signals) bool {
	return live.Has(engine.HasTokens) && (p.stepwise >= 3 || *i.kind.Load() == engine.VLLM)
}

// quiet is for how long nothing has moved; 0 where there is nothing to move.
func (p *progress) quiet(now time.Time) time.Duration { return now.Sub(p.at) }

// hung says for how long nothing has moved that should have; 0 if nothing
// speaks against the instance. stall is the least that counts as a hang.
func (p *progress) hung(i *Instance, now time.Time, stall time.Duration) time.Duration {
	still := now.Sub(p.at)
	if still < max(stall, prefillFactor*p.speed.of(i.row.prompts.longest())) || !p.owes(i) {
		return 0
	}
	return still
}

// owes says whether the instance owes us a byte. A stream that has begun and
// does not go on proves nothing by itself: its client may be slow. Nor does an
// answer in one piece: it may be long. Only an engine that counts its steps
// speaks for these.
func (p *progress) owes(i *Instance) bool {
	live := i.live()
	if p.countsSteps(i, live) {
		return i.row.prompts.underWay.Load() > 0 || live.Has(engine.HasRunning) && i.said.running.Load() > 0
	}
	return i.row.prompts.underWay.Load() > 0 && i.row.whole.Load() == 0 && i.said.foreign.Load() == 0
}
