package predict

import (
	"math"
	"math/rand/v2"
	"testing"
)

func within(t *testing.T, name string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*want {
		t.Errorf("%s: %v, want %v within %v %%", name, got, want, 100*share)
	}
}

// engine makes the times of one whose constants are known.
type engine struct {
	Rates
	dice  *rand.Rand
	noise float64
	ahead []float64 // tokens of others before each prompt, in turn
	at    int64
}

func (e *engine) teach(s *Speed, n int) {
	off := func() float64 { return math.Exp(e.noise * e.dice.NormFloat64()) }
	for n := range n {
		answers, context := float64(e.dice.IntN(100)), float64(e.dice.IntN(100_000))
		step := e.StepTime(answers, context)
		own, ahead := 50+e.dice.ExpFloat64()*2000, 0.0
		if len(e.ahead) > 0 {
			ahead = e.ahead[n%len(e.ahead)]
		}
		s.FirstToken(own, ahead, step, (e.Overhead+own*e.Token+ahead*e.Ahead+step)*off())
		prompt := float64(e.dice.IntN(3)) * e.dice.ExpFloat64() * 50
		e.at += 1e9
		s.Steps(e.at-1e9, e.at, answers, context, prompt, (step+prompt*e.Token)*off())
	}
}

var h100 = Rates{Overhead: 0.03, Token: 0.0002, Ahead: 0.0002, Step: 0.01, Answer: 10e-6, Context: 39e-9}

func TestLearnsWhatAnEngineIs(t *testing.T) {
	for _, truth := range []Rates{
		h100,
		{Overhead: 0.065, Token: 49e-6, Ahead: 49e-6, Step: 0.02, Answer: 25e-6, Context: 39e-9},
		{Overhead: 0.04, Token: 0.004, Ahead: 0.004, Step: 0.2, Answer: 0.004, Context: 870e-9}, // a CPU
	} {
		var s Speed
		s.Begin(Typical)
		e := engine{Rates: truth, dice: rand.New(rand.NewPCG(1, 2)), noise: 0.1}
		e.teach(&s, 1000)
		got := s.Rates()
		within(t, "token", got.Token, truth.Token, 0.1)
		for _, load := range [][2]float64{{1, 500}, {30, 30_000}, {90, 90_000}} {
			within(t, "step", got.StepTime(load[0], load[1]), truth.StepTime(load[0], load[1]), 0.1)
		}
		first := func(r Rates) float64 { return r.Overhead + 1000*r.Token + r.StepTime(30, 30_000) }
		within(t, "first token", first(got), first(truth), 0.1)
		if !s.Known() {
			t.Error("it is not known")
		}
	}
}

// Some compute prompts one after the other, some side by side: what those ahead
// cost is learned apart from what its own does.
func TestLearnsWhatPromptsAheadCost(t *testing.T) {
	for _, ahead := range []float64{1, 0.1, 0} {
		truth := h100
		truth.Ahead *= ahead
		var s Speed
		s.Begin(Typical)
		e := engine{Rates: truth, dice: rand.New(rand.NewPCG(1, 2)), noise: 0.1, ahead: []float64{0, 500, 3000}}
		e.teach(&s, 300)
		got := s.Rates()
		within(t, "own", 1000*got.Token, 1000*truth.Token, 0.1)
		if miss := 3000 * (got.Ahead - truth.Ahead); math.Abs(miss) > 0.06 {
			t.Errorf("3000 tokens ahead, %v of the time of its own each: off by %v s", ahead, miss)
		}
	}
}

func TestHiccupsTeachLittle(t *testing.T) {
	var s Speed
	s.Begin(Typical)
	e := engine{Rates: h100, dice: rand.New(rand.NewPCG(1, 2)), noise: 0.1}
	e.teach(&s, 300)
	before := s.Rates()
	for range 5 {
		s.FirstToken(1000, 0, 0.01, 60)
	}
	if after := s.Rates(); after.Token > 1.5*before.Token || after.Overhead > before.Overhead+0.2 {
		t.Errorf("five pauses of a minute made %+v of %+v", after, before)
	}
}

func TestFollowsAnEngineThatBecomesSlow(t *testing.T) {
	var s Speed
	s.Begin(Typical)
	e := engine{Rates: h100, dice: rand.New(rand.NewPCG(1, 2)), noise: 0.1}
	e.teach(&s, 2000)
	e.Token *= 4
	e.teach(&s, 300)
	within(t, "token", s.Rates().Token, e.Token, 0.25)
}

// All that comes of one load says nothing of another: coefficients must not run
// away meanwhile.
func TestSteadyLoadKeepsWhatItDoesNotShow(t *testing.T) {
	var s Speed
	s.Begin(h100)
	for n := range int64(100_000) {
		s.Steps(n*1e9, (n+1)*1e9, 20, 20_000, 0, h100.StepTime(20, 20_000))
		s.FirstToken(500, 0, 0.011, 0.14)
	}
	got := s.Rates()
	within(t, "step", got.StepTime(20, 20_000), h100.StepTime(20, 20_000), 0.02)
	if most := got.StepTime(200, 200_000); most > 10*h100.StepTime(200, 200_000) {
		t.Errorf("ten times the load is thought to take %v s a step", most)
	}
	for i := range terms {
		for j := range terms {
			if v := s.step.cov[i][j]; math.IsNaN(v) || math.Abs(v) > 1.01*math.Sqrt(s.step.first[i]*s.step.first[j]) {
				t.Fatalf("covariance %d %d: %v", i, j, v)
			}
		}
	}
}

func TestOverlappingStepsAreHeardOnce(t *testing.T) {
	var once, often Speed
	once.Begin(Typical)
	often.Begin(Typical)
	for n := range int64(50) {
		once.Steps(n*1e9, (n+1)*1e9, 1, 100, 0, 0.05)
		for k := range int64(20) {
			often.Steps(n*1e9-k, (n+1)*1e9-k, 1, 100, 0, 0.05)
		}
	}
	if a, b := once.Rates(), often.Rates(); math.Abs(a.Step-b.Step) > 0.1*a.Step {
		t.Errorf("%v told by one stream, %v by twenty", a.Step, b.Step)
	}
}

func TestWhatNoEngineDoesIsLeftOut(t *testing.T) {
	var s Speed
	s.Begin(h100)
	for _, after := range []float64{0, -1, math.NaN(), math.Inf(1), 1e9} {
		s.FirstToken(100, 0, 0.01, after)
		s.Steps(1, 2, 1, 1, 1, after)
	}
	s.FirstToken(math.NaN(), 0, 0, 1)
	s.FirstToken(1, math.NaN(), 0, 1)
	s.FirstToken(math.Inf(1), 0, 0, 1)
	if got := s.Rates(); got != h100 {
		t.Errorf("%+v", got)
	}
}

func FuzzFit(f *testing.F) {
	f.Add(100.0, 0.01, 0.05, 5.0, 1000.0, 10.0)
	f.Fuzz(func(t *testing.T, tokens, step, after, answers, context, prompt float64) {
		for _, v := range []*float64{&tokens, &step, &answers, &context, &prompt} { // ours, not an engine's
			if *v = math.Abs(*v); !(*v < 1e7) {
				*v = 1e7
			}
		}
		var s Speed
		s.Begin(Typical)
		for n := range int64(20) {
			s.FirstToken(tokens, prompt, step, after)
			s.Steps(n, n+1, answers, context, prompt, after)
		}
		r := s.Rates()
		for _, v := range []float64{r.Overhead, r.Token, r.Ahead, r.Step, r.Answer, r.Context} {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestMedianIsTheOneInTheMiddle(t *testing.T) {
	slow := h100
	slow.Token = 1
	if m := Median([]Rates{h100, slow, h100}); m != h100 {
		t.Errorf("%+v", m)
	}
	if Median(nil) != Typical {
		t.Error("of nobody it is what is typical")
	}
}

// An engine that answers at once, whatever it is asked, is learned too: numbers
// far from one another's size do not break the fit.
func TestLearnsAnEngineThatAnswersAtOnce(t *testing.T) {
	var s Speed
	s.Begin(Typical)
	for n := range 50_000 {
		s.FirstToken(float64(55_000*(1+n%2)), 0, 0, 200e-6)
	}
	r := s.Rates()
	if got := r.Overhead + 55_000*r.Token; !(got > 0 && got < 0.002) {
		t.Errorf("a first token in %v s: %+v", got, r)
	}
}
