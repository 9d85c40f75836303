package scheduler

import (
	"time"

	"penstock/scheduler/engine"
)

const (
	// prefillFactor is how many times the predicted prefill is still no hang.
	prefillFactor = 3
	// opaqueFor is how long a request may take whose text does not tell.
	opaqueFor = 30 * time.Second
	// foreignFor is how long somebody else's requests, of which nothing is
	// known, may keep an engine busy without a sign.
	foreignFor = time.Minute
	// slowest is the decoding speed, in tokens a second, that any answer in one
	// piece is granted, and wholeFor the longest that it is waited for.
	slowestDecode = 4
	wholeFor      = 5 * time.Minute
)

// progress tells an instance that hangs from one that takes its time: whether
// anything moves in it while it has work of ours. It belongs to the keeper.
type progress struct {
	moves  uint64    // times that something was seen to move
	moved  uint64    // row.moved when last looked
	tokens uint64    // the engine's counters
	kv     int64     // its cache in use: a long prompt fills it chunk by chunk
	at     time.Time // when something moved, or it began to owe us something
	counts bool      // the counters were believed when last looked
	speed  speed
}

// look notes what has moved since the last look.
func (p *progress) look(i *Instance, now time.Time) {
	live := i.live()
	p.speed.learn(&i.row.prompts, uint64(i.signals[sigPrefix].value.Load()), live.Has(engine.HasPrefix))
	moved, tokens, kv := i.row.moved.Load(), i.said.tokens.Load(), i.said.kvUsage.Load()
	counts := live.Has(engine.HasTokens)
	if counts && !p.counts { // only now can they prove anything
		p.at = now
	}
	p.counts = counts
	if moved != p.moved || tokens != p.tokens || kv != p.kv {
		p.moves++
		p.at = now
	}
	if !p.owes(i) || p.at.IsZero() {
		p.at = now
	}
	p.moved, p.tokens, p.kv = moved, tokens, kv
}

// quiet is for how long nothing has moved; 0 where there is nothing to move.
func (p *progress) quiet(now time.Time) time.Duration { return now.Sub(p.at) }

// hung says for how long nothing has moved that should have; 0 if nothing
// speaks against the instance. stall is the least that counts as a hang.
func (p *progress) hung(i *Instance, now time.Time, stall time.Duration) time.Duration {
	still := p.quiet(now)
	if still < p.patience(i, stall) || !p.owes(i) {
		return 0
	}
	return still
}

// countsSteps says whether the engine's counters prove that it works, or does
// not.
func (p *progress) countsSteps(i *Instance) bool {
	return i.live().Has(engine.HasTokens) && (*i.kind.Load()).CountsSteps()
}

// owes says whether the instance owes us a byte. A stream that has begun and
// does not go on proves nothing by itself: its client may be slow. Only an
// engine that counts its steps speaks for it.
func (p *progress) owes(i *Instance) bool {
	return i.row.prompts.underWay.Load() > 0 || p.countsSteps(i) && i.live().Has(engine.HasRunning) && i.said.running.Load() > 0
}

// patience is how long nothing may move. What has failed otherwise, or says
// itself that it is not ready, has half the time, and no more excuse than its
// prompts.
func (p *progress) patience(i *Instance, stall time.Duration) time.Duration {
	w := &i.row.prompts
	prefill := prefillFactor * p.speed.of(w.lengths.longest())
	if !i.attended() {
		return max(stall/2, prefill)
	}
	d := max(stall, prefill)
	if n := w.opaque.Load(); n > 0 && n >= w.underWay.Load() {
		d = max(d, opaqueFor)
	}
	if p.countsSteps(i) {
		return d
	}
	// It may decode in silence: an answer in one piece, or somebody else's, for
	// which ours wait.
	if n := w.answers.longest(); n > 0 {
		d = max(d, min(time.Duration(n)*time.Second/slowestDecode, wholeFor))
	}
	if i.said.foreign.Load() > 0 {
		d = max(d, foreignFor)
	}
	return d
}
