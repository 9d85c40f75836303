package model

import "time"

// Step is one forward pass.
type Step struct {
	Duration      time.Duration
	PrefillTokens int // computed anew: of prompts, and of sequences that were preempted
	Decoding      int // sequences that get one more token
	Preempted     int // sequences that lost their blocks for it
	contexts      int // tokens of those that decode
	attended      int // tokens before each that is prefilled, summed
}

// Begin chooses what the next step computes, as vLLM does: first the batch, in
// the order of admission, one token for each that decodes and the rest of the
// budget for prompts; then, if nobody was preempted, who waits. It reports false
// if there is nothing to compute at now. End must follow before the next Begin.
func (e *Engine) Begin(now time.Duration) (Step, bool) {
	if e.inStep {
		panic("model: Begin within a step")
	}
	var step Step
	budget := e.profile.MaxBatchedTokens
	for i := 0; i < len(e.running) && budget > 0; i++ {
		s := e.running[i]
		n := min(s.length-s.computed, budget)
		if s.computed+n > s.room && !e.grow(s, n, &step) {
			break // it was the last of the batch, and had to go itself
		}
		budget -= n
		step.add(s, n)
	}
	if step.Preempted == 0 {
		e.admit(now, budget, &step)
	}
	e.countWaiting(now)
	if step.PrefillTokens == 0 && step.Decoding == 0 {
		return step, false
	}
	step.Duration = e.profile.duration(&step)
	e.inStep = true
	e.totals.Steps++
	return step, true
}

// add schedules n tokens of s.
func (step *Step) add(s *Sequence, n int) {
	s.scheduled = n
	if n == 1 && s.generated > 0 && s.computed+1 == s.length {
		step.Decoding++
		step.contexts += s.computed
	} else {
		step.PrefillTokens += n
		step.attended += n * (2*s.computed + n - 1) / 2
	}
}

// duration is how long a step takes.
func (p *Profile) duration(step *Step) time.Duration {
	d := time.Duration(step.PrefillTokens)*p.PrefillToken + time.Duration(step.attended)*p.PrefillKV/1024
	if step.Decoding > 0 {
		d += p.Decode + time.Duration(step.Decoding)*p.DecodeSeq + time.Duration(step.contexts)*p.DecodeKV
	}
	return d
}

// grow makes room for n more tokens of s, and preempts the youngest of the batch
// as long as blocks are short. It reports false if that was s itself.
func (e *Engine) grow(s *Sequence, n int, step *Step) bool {
	need := e.blocksFor(s.computed+n) - len(s.chain)
	for e.blocks.free < need {
		last := len(e.running) - 1
		victim := e.running[last]
		e.running[last] = nil
		e.running = e.running[:last]
		e.preempt(victim)
		step.Preempted++
		if victim == s {
			return false
		}
	}
	e.extend(s, need)
	return true
}

// preempt sends s back to the queue's front, to be computed again from the
// start, or from what the prefix cache still has of it.
func (e *Engine) preempt(s *Sequence) {
	e.release(s)
	s.state = Waiting
	s.preempted++
	e.totals.Preemptions++
	e.queue.pushFront(s)
}

// admit takes sequences from the queue while there is room for them.
func (e *Engine) admit(now time.Duration, budget int, step *Step) {
	for budget > 0 && e.queue.len > 0 && len(e.running) < e.profile.MaxNumSeqs {
		s := e.queue.at(0)
		if s.ready > now || !e.fits(s, budget) {
			return
		}
		e.queue.popFront()
		n := min(s.length-s.computed, budget)
		e.extend(s, e.blocksFor(s.computed+n)-len(s.chain))
		budget -= n
		step.add(s, n)
		if s.preempted == 0 {
			s.times.Scheduled = now
			s.cached = s.computed
			e.totals.PrefixQueries += int64(s.request.PromptTokens)
			e.totals.PrefixHits += int64(s.cached)
		}
		s.state = Running
		e.running = append(e.running, s)
	}
}

// fits gives s the blocks that the prefix cache has for it if there are enough
// for its first chunk too. One token at least is left to compute: something has
// to give the next one.
func (e *Engine) fits(s *Sequence, budget int) bool {
	if e.blocks.free == 0 {
		return false
	}
	most := min(s.known(), (s.length-1)/e.profile.BlockSize)
	found, wasFree := 0, 0
	chain := s.chain[:0]
	if chain == nil {
		chain = e.chainFor()
	}
	for ; found < most; found++ {
		b := e.blocks.find(s.hash(found))
		if b == none {
			break
		}
		if e.blocks.isFree(b) {
			wasFree++
		}
		chain = append(chain, b)
	}
	s.chain = chain
	computed := found * e.profile.BlockSize
	n := min(s.length-computed, budget)
	if e.blocksFor(computed+n)-found > e.blocks.free-wasFree {
		s.chain = chain[:0]
		return false
	}
	for _, b := range chain {
		e.blocks.hold(b)
	}
	s.computed, s.room = computed, computed
	s.full = computed + e.profile.BlockSize
	return true
}

// extend takes count blocks for s.
func (e *Engine) extend(s *Sequence, count int) {
	for range count {
		s.chain = append(s.chain, e.blocks.take())
	}
	s.room = len(s.chain) * e.profile.BlockSize
}

// blocksFor is how many blocks hold n tokens.
func (e *Engine) blocksFor(n int) int { return (n + e.profile.BlockSize - 1) / e.profile.BlockSize }

// countWaiting counts those that could have been taken. The queue is in the
// order of arrival, so the ready ones come first.
func (e *Engine) countWaiting(now time.Duration) {
	e.waiting = min(e.waiting, e.queue.len)
	for e.waiting > 0 && e.queue.at(e.waiting-1).ready > now {
		e.waiting--
	}
	for e.waiting < e.queue.len && e.queue.at(e.waiting).ready <= now {
		e.waiting++
	}
}

// End ends the step that Begin began. It returns the sequences that got a token
// or, asked for none, have their prompt computed; those that are Finished have
// left the engine. The slice is the engine's, until the next End.
func (e *Engine) End(now time.Duration) []*Sequence {
	if !e.inStep {
		panic("model: End without Begin")
	}
	e.inStep = false
	e.tokens = e.tokens[:0]
	kept := e.running[:0]
	for _, s := range e.running {
		s.computed += s.scheduled
		s.scheduled = 0
		if s.computed >= s.full {
			e.nameBlocks(s)
		}
		if s.computed < s.length || e.token(now, s) {
			kept = append(kept, s)
		}
	}
	clear(e.running[len(kept):])
	e.running = kept
	return e.tokens
}

// token gives s its next token, and reports whether it wants more.
func (e *Engine) token(now time.Duration, s *Sequence) bool {
	e.tokens = append(e.tokens, s)
	if s.generated == 0 {
		s.times.FirstToken = now
		e.totals.PromptTokens += int64(s.request.PromptTokens)
	}
	if s.generated < s.request.MaxTokens {
		s.generated++
		s.length++
		e.totals.GeneratedTokens++
	}
	if s.generated < s.request.MaxTokens {
		return true
	}
	e.end(now, s, Finished)
	e.totals.Finished++
	return false
}

// nameBlocks puts the blocks that have become full into the prefix cache.
func (e *Engine) nameBlocks(s *Sequence) {
	for ; s.full <= s.computed; s.full += e.profile.BlockSize {
		i := s.full/e.profile.BlockSize - 1
		if i >= s.known() {
			if s.request.Output == nil {
				s.full = mostTokens // nothing more to name, whatever comes
				return
			}
			s.output = append(s.output, s.request.Output())
		}
		e.blocks.name(s.chain[i], s.hash(i))
	}
}
