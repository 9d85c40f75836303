package scheduler

import "penstock/scheduler/predict"

// stepsLearned is how many tokens of a stream make a measurement of a step.
const stepsLearned = 16

// learnFirst takes in the time of a first token.
func (r *Reservation) learnFirst(now int64) {
	r.steps = steps{at: now, computed: r.inst.row.work.computed.Load()}
	if r.odd {
		return
	}
	took := seconds(now - r.at)
	if r.ttft > 0 {
		r.sched.ttftErrors.Note(r.ttft, took)
	}
	sp := &r.inst.speed
	was := sp.Known()
	sp.FirstToken(r.ahead+float64(r.fresh), r.step, took)
	if !was && sp.Known() {
		r.sched.tellTypical()
	}
	switch n := r.sched.firsts.Add(1); {
	case !sp.Known():
		own := sp.Rates()
		r.inst.rates.Store(&own)
	case n%uint64(max(len(r.sched.Instances()), sharedEvery)) == 0:
		r.sched.share()
	}
}

// sharedEvery is after how many first tokens instances that are alike are
// compared.
const sharedEvery = 64

// share gives instances that are alike, as far as their fits can tell, the same
// rates: the same GPUs, each with an error of its own, would be loaded by their
// errors.
func (s *Scheduler) share() {
	all := s.Instances()
	own := make([]predict.Rates, len(all))
	for n, i := range all {
		own[n] = i.speed.Rates()
	}
	for n, i := range all {
		if shared := predict.Alike(own[n], own); shared != *i.rates.Load() {
			i.rates.Store(&shared)
		}
	}
}

// learnSteps takes in how fast a stream's tokens come.
func (r *Reservation) learnSteps(now int64) {
	n := r.produced - r.steps.produced
	if n < stepsLearned || r.odd || now <= r.steps.at {
		return
	}
	w := &r.inst.row.work
	computed := w.computed.Load()
	r.inst.speed.Steps(r.steps.at, now, float64(w.answers.Load()), float64(w.context.Load()),
		float64(computed-r.steps.computed)/float64(n), seconds(now-r.steps.at)/float64(n))
	r.steps = steps{at: now, produced: r.produced, computed: computed}
}

// tellTypical starts instances of which little is known from what is typical of
// the others.
func (s *Scheduler) tellTypical() {
	var known []predict.Rates
	all := s.Instances()
	for _, i := range all {
		if i.speed.Known() {
			known = append(known, i.speed.Rates())
		}
	}
	typical := predict.Median(known)
	s.typical.Store(&typical)
	for _, i := range all {
		if i.speed.Seen() == 0 {
			i.begin(&typical)
		}
	}
}

// begin takes the instance for one of these rates, until it is known better.
func (i *Instance) begin(r *predict.Rates) {
	i.speed.Begin(*r)
	i.rates.Store(r)
}

func seconds(ns int64) float64 { return float64(ns) / 1e9 }
