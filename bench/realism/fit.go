package main

import (
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/optimize"

	"penstock/bench/model"
)

// constants are what is fitted, each with where the search begins.
func constants(p *model.Profile) []constant {
	return []constant{
		{"overhead", &p.Overhead, 5 * time.Millisecond},
		{"intake", &p.Intake, 2 * time.Millisecond},
		{"intake token", &p.IntakeToken, 2 * time.Microsecond},
		{"prefill token", &p.PrefillToken, 20 * time.Microsecond},
		{"prefill KV", &p.PrefillKV, 10 * time.Microsecond},
		{"decode", &p.Decode, 2 * time.Millisecond},
		{"decode seq", &p.DecodeSeq, 200 * time.Microsecond},
		{"decode KV", &p.DecodeKV, 200 * time.Nanosecond},
	}
}

type constant struct {
	name  string
	value *time.Duration
	begin time.Duration
}

// fit looks for the constants with which the model tells best what was measured.
// What batch a request comes into hangs on little, so that there are hollows
// everywhere: it begins from several places, the guess and others near it.
func fit(p model.Profile, asks []ask, measured []seen, starts int) (model.Profile, error) {
	all := constants(&p)
	set := func(x []float64) { // logarithms: none is below 0
		for n, c := range all {
			*c.value = time.Duration(float64(c.begin) * math.Exp(min(x[n], furthest)))
		}
	}
	problem := optimize.Problem{Func: func(x []float64) float64 {
		set(x)
		told, err := replay(p, asks)
		if err != nil {
			return math.Inf(1)
		}
		return distance(told, measured)
	}}
	settings := optimize.Settings{FuncEvaluations: 1500, Converger: &optimize.FunctionConverge{Absolute: 1e-5, Iterations: 100}}
	best, d := &optimize.Result{Location: optimize.Location{F: math.Inf(1)}}, rand.New(rand.NewPCG(seed, 0xf17))
	for start := range starts {
		x := make([]float64, len(all))
		for n := range x {
			x[n] = float64(min(start, 1)) * d.NormFloat64() / 4
		}
		for range 2 { // once more from where it came to rest: its simplex is flat by then
			found, err := optimize.Minimize(problem, x, &settings, &optimize.NelderMead{SimplexSize: 0.5})
			if err != nil {
				return p, err
			}
			x = found.X
			if found.F < best.F {
				best = found
			}
		}
	}
	set(best.X)
	return p, nil
}

// furthest is how far from the guess a constant can be, as a power of e.
const furthest = 7

// distance is the mean of how many times too long or too short a time is
// foretold, as a logarithm: a few that are far off do not count for more.
func distance(told, measured []seen) float64 {
	sum, count := 0.0, 0
	add := func(a, b time.Duration) {
		if a > 0 && b > 0 {
			sum += math.Abs(math.Log(float64(a) / float64(b)))
			count++
		}
	}
	for n := range told {
		add(told[n].TTFT, measured[n].TTFT)
		add(told[n].TPOT, measured[n].TPOT)
	}
	return sum / float64(max(count, 1))
}
