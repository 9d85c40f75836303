package predict

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Speed is what is known of one instance. Times are in seconds, tokens in
// tokens; the zero value is not ready: see Begin.
type Speed struct {
	rates [coefficients]atomic.Uint64 // first: decisions read nothing else

	mu    sync.Mutex
	prior Rates // at the beginning
	first fit   // of a first token: 1, tokens of its own to compute, tokens of others before them
	step  fit   // of a step: 1, answers in it, tokens they look back on, prompt tokens computed in it
	told  int64 // up to when steps are known
	known atomic.Int32
}

// Rates are an instance's coefficients.
type Rates struct {
	Overhead float64 // until the first token, if nothing has to be computed
	Token    float64 // for each prompt token that is computed
	Ahead    float64 // for each of others that is computed before: as much, unless it computes prompts side by side
	Step     float64 // a step of an idle engine
	Answer   float64 // longer for each answer in it
	Context  float64 // longer for each token that they look back on
}

const coefficients = 6

// Typical is what an instance is taken for of which nothing is known, and which
// has no neighbours: a mid-sized model on a recent GPU. It is soon forgotten.
var Typical = Rates{Overhead: 0.04, Token: 0.0002, Ahead: 0.0002, Step: 0.02, Answer: 30e-6, Context: 100e-9}

// Inputs are scaled so that coefficients are near one another's size.
const (
	kilo    = 1000
	hundred = 100
	lakh    = 100_000
)

// Begin starts from what is typical.
func (s *Speed) Begin(r Rates) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prior = r
	s.first.begin(
		vector{r.Overhead, r.Token * kilo, r.Ahead * kilo},
		vector{2*r.Overhead + 0.02, 3*r.Token*kilo + 0.05, 3*r.Token*kilo + 0.05})
	s.step.begin(
		vector{r.Step, r.Answer * hundred, r.Context * lakh, r.Token * kilo},
		vector{2*r.Step + 0.01, 3*r.Answer*hundred + 0.003, 3*r.Context*lakh + 0.01, 3*r.Token*kilo + 0.05})
	s.known.Store(0)
	s.publish()
}

// learnedAfter is how many first tokens make an instance known.
const learnedAfter = 8

// Known says whether enough was seen of it to be an example to others.
func (s *Speed) Known() bool { return s.known.Load() >= learnedAfter }

// Seen is how many first tokens were learned from, up to a bound.
func (s *Speed) Seen() int { return int(s.known.Load()) }

// FirstToken takes in that one came after a time, so many tokens of its own
// prompt and of those ahead of it having been computed, and a step having been
// under way that took so long: that is waited for in any case, and not for the
// engine to be learned by.
func (s *Speed) FirstToken(own, ahead, step, after float64) {
	if after = max(after-step, after/16); !usable(after) || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	s.first.learn(vector{1, own / kilo, ahead / kilo}, after)
	if s.known.Load() < learnedAfter {
		s.known.Add(1)
	}
	s.publish()
}

// Steps takes in how long a step took on average from one time to another, in
// ns, with so many answers in each, the tokens that these look back on, and the
// prompt tokens computed in each. All streams of an instance are in the same
// steps: what one has told, another is not heard of.
func (s *Speed) Steps(from, to int64, answers, context, prompt, each float64) {
	if !usable(each) || !s.mu.TryLock() {
		return
	}
	defer s.mu.Unlock()
	if from < s.told {
		return
	}
	s.told = to
	s.step.learn(vector{1, answers / hundred, context / lakh, prompt / kilo}, each)
	s.publish()
}

// usable keeps out what no engine does.
func usable(seconds float64) bool { return seconds > 0 && seconds < 3600 }

// publish is called with mu held.
func (s *Speed) publish() {
	for i, v := range [coefficients]float64{
		s.first.theta[0], s.first.theta[1] / kilo, s.first.theta[2] / kilo,
		s.step.theta[0], s.step.theta[1] / hundred, s.step.theta[2] / lakh,
	} {
		s.rates[i].Store(math.Float64bits(v))
	}
}

// Rates are the coefficients of this moment.
func (s *Speed) Rates() Rates {
	at := func(i int) float64 { return math.Float64frombits(s.rates[i].Load()) }
	return Rates{at(0), at(1), at(2), at(3), at(4), at(5)}
}

// StepTime is how long a step takes with so many answers that look back on so
// many tokens.
func (r *Rates) StepTime(answers, context float64) float64 {
	return r.Step + answers*r.Answer + context*r.Context
}

// Median is, of each coefficient, the one in the middle.
func Median(all []Rates) Rates {
	if len(all) == 0 {
		return Typical
	}
	var m Rates
	for _, of := range []func(*Rates) *float64{
		func(r *Rates) *float64 { return &r.Overhead }, func(r *Rates) *float64 { return &r.Token }, func(r *Rates) *float64 { return &r.Ahead },
		func(r *Rates) *float64 { return &r.Step }, func(r *Rates) *float64 { return &r.Answer }, func(r *Rates) *float64 { return &r.Context },
	} {
		values := make([]float64, len(all))
		for i := range all {
			values[i] = *of(&all[i])
		}
		*of(&m) = middle(values)
	}
	return m
}

// alike is the factor that two instances' times for a token, a step at the same
// work and the first token of a prompt of so many tokens may differ by and be
// taken for the same: an engine that is as fast and far away is another.
const (
	alike  = 1.25
	prompt = 500
)

// mostKinds bounds into how many kinds instances are sorted; the rest are each
// one of its own.
const mostKinds = 16

// Alike is, for each, the mean of those like it: of the kinds, the one in the
// middle of those that are left comes first. Their steps are compared at so many
// answers that look back on so many tokens: coefficients that were fitted to
// different work differ by more than the times that they add up to.
func Alike(all []Rates, answers, context float64) []Rates {
	means, left := slices.Clone(all), make([]int, len(all))
	for i := range left {
		left[i] = i
	}
	slices.SortFunc(left, func(a, b int) int { return cmp.Compare(all[a].usual(), all[b].usual()) })
	for range mostKinds {
		if len(left) == 0 {
			break
		}
		var kind []int
		middle := &all[left[len(left)/2]]
		left = slices.DeleteFunc(left, func(i int) bool {
			is := middle.like(&all[i], answers, context)
			if is {
				kind = append(kind, i)
			}
			return is
		})
		mean := mean(all, kind)
		for _, i := range kind {
			means[i] = mean
		}
	}
	return means
}

// usual is the time of the first token of a usual prompt.
func (r *Rates) usual() float64 { return r.Overhead + prompt*r.Token }

func (r *Rates) like(o *Rates, answers, context float64) bool {
	return r == o || near(r.Token, o.Token) && near(r.usual(), o.usual()) &&
		near(r.StepTime(answers, context), o.StepTime(answers, context))
}

func mean(all []Rates, of []int) (m Rates) {
	n := float64(len(of))
	for _, i := range of {
		m.Overhead += all[i].Overhead / n
		m.Token += all[i].Token / n
		m.Ahead += all[i].Ahead / n
		m.Step += all[i].Step / n
		m.Answer += all[i].Answer / n
		m.Context += all[i].Context / n
	}
	return m
}

func near(a, b float64) bool { return a <= b*alike && b <= a*alike }

// Between is a share of the way from a to b, as factors go.
func Between(a, b Rates, share float64) Rates {
	way := func(x, y float64) float64 {
		if x <= 0 || y <= 0 {
			return x + (y-x)*share
		}
		return x * math.Pow(y/x, share)
	}
	return Rates{way(a.Overhead, b.Overhead), way(a.Token, b.Token), way(a.Ahead, b.Ahead), way(a.Step, b.Step), way(a.Answer, b.Answer), way(a.Context, b.Context)}
}
