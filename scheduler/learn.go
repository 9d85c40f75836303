package scheduler

import (
	"time"

	"penstock/scheduler/predict"
)

// stepsLearned is how many tokens of a stream make a measurement of a step.
const stepsLearned = 16

// learnFirst takes in the time of a first token.
func (r *Reservation) learnFirst(now int64) {
	if r.wait.answer == 0 {
		r.steps = steps{at: now, computed: r.inst.row.work.computed.Load()}
	}
	if !r.odd {
		r.learnPrompt(now)
	}
}

// learnPrompt takes in that its first token came now.
func (r *Reservation) learnPrompt(now int64) {
	took := seconds(now - r.at)
	if r.ttft > 0 {
		r.sched.ttftErrors.Note(r.ttft, took)
	}
	sp := &r.inst.speed
	was := sp.Known()
	sp.FirstToken(float64(r.fresh), r.ahead, r.step, took)
	r.sched.pool.FirstToken(float64(r.fresh), r.ahead, r.step, took)
	n := r.sched.firsts.Add(1)
	if n <= sharedEvery || !was && sp.Known() || n%uint64(max(len(r.sched.Instances()), sharedEvery)) == 0 {
		r.sched.share(now)
	}
}

const (
	// freshFor is how long what was learned of an instance is believed whole
	// that gets nothing, and staleFor how long until it is not at all.
	freshFor = 10 * time.Second
	staleFor = time.Minute
)

// sharedEvery is after how many first tokens instances that are alike are
// compared.
const sharedEvery = 64

// share says by which rates decisions go. Instances that are alike, as far as
// their fits can tell, have the same: equal GPUs, each with an error of its own,
// would be loaded by their errors. Those of which little is known are taken for
// the median of the others, or all together for one, lest the first that is
// known to be quick gets everything. And what was learned of one that gets
// nothing grows old: it may be slow no more, and only a request can tell.
//
// Of two who compare at a time one does: the older must not have the last word.
func (s *Scheduler) share(now int64) {
	if !s.sharing.TryLock() {
		return
	}
	defer s.sharing.Unlock()
	var known, others []*Instance // asked once: requests make one known at any time
	var own []predict.Rates
	var answers, context float64
	for _, i := range s.Instances() {
		if !i.speed.Known() {
			others = append(others, i)
			continue
		}
		known, own = append(known, i), append(own, i.speed.Rates())
		answers += float64(i.row.work.answers.Load())
		context += float64(i.row.work.context.Load())
	}
	n := float64(max(len(known), 1))
	shared := predict.Alike(own, answers/n, context/n)
	typical := s.pool.Rates()
	if len(shared) > 0 {
		typical = predict.Median(shared)
	}
	s.typical.Store(&typical)
	for _, i := range others {
		i.rates.Store(&typical)
		if i.speed.Seen() == 0 {
			i.speed.Begin(typical)
		}
	}
	for n, i := range known {
		r := shared[n]
		if idle := now - i.row.prompts.last.Load(); idle > int64(freshFor) {
			r = predict.Between(r, typical, min(float64(idle-int64(freshFor))/float64(staleFor), 1))
		}
		if r != *i.rates.Load() {
			i.rates.Store(&r)
		}
	}
}

// learnWhole takes in the time of an answer that came in one piece. One of a
// token, or of none, is as good as a first token; of a long one nearly all of the
// time went into its steps.
func (r *Reservation) learnWhole(now int64) {
	if r.wait.answer == 0 || r.wait.opaque || r.refused || !r.begun {
		return
	}
	switch each := (seconds(now-r.at) - r.ttft) / float64(max(r.produced, 1)); {
	case r.produced <= 1:
		if r.expected <= 1 { // else nobody counted
			r.learnPrompt(now)
		}
	case r.produced >= stepsLearned && each > 0:
		w := &r.inst.row.work
		r.learnStep(r.at, now, float64(w.computed.Load()-r.steps.computed-r.fresh)/float64(r.produced), each)
	}
}

// learnSteps takes in how fast a stream's tokens come.
func (r *Reservation) learnSteps(now int64) {
	n := r.produced - r.steps.produced
	if n < stepsLearned || r.odd || r.wait.answer > 0 || now <= r.steps.at {
		return
	}
	computed := r.inst.row.work.computed.Load()
	r.learnStep(r.steps.at, now, float64(computed-r.steps.computed)/float64(n), seconds(now-r.steps.at)/float64(n))
	r.steps = steps{at: now, produced: r.produced, computed: computed}
}

// learnStep takes in how long each step took, and how much of prompts was
// computed in it.
func (r *Reservation) learnStep(from, to int64, prompt, each float64) {
	w := &r.inst.row.work
	for _, sp := range [...]*predict.Speed{&r.inst.speed, &r.sched.pool} {
		sp.Steps(from, to, float64(w.answers.Load()), float64(w.context.Load()), prompt, each)
	}
}

// begin takes the instance for one of these rates, until it is known better.
func (i *Instance) begin(r *predict.Rates) {
	i.speed.Begin(*r)
	i.rates.Store(r)
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
