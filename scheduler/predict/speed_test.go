package predict

import "testing"

// What was fitted to short answers and to long ones differs in each coefficient,
// and not in the time that a step takes.
func TestEqualsWithDifferentWorkAreOneKind(t *testing.T) {
	all := []Rates{
		{Overhead: 0.03, Token: 200e-6, Step: 0.0110, Answer: 10e-6, Context: 60e-9},
		{Overhead: 0.03, Token: 200e-6, Step: 0.0075, Answer: 25e-6, Context: 70e-9},
		{Overhead: 0.03, Token: 200e-6, Step: 0.0450, Answer: 10e-6, Context: 60e-9},
	}
	got := Alike(all, 100, 80_000)
	if got[0] != got[1] {
		t.Errorf("steps of %.4f and %.4f s are two kinds", all[0].StepTime(100, 80_000), all[1].StepTime(100, 80_000))
	}
	if got[2] == got[0] {
		t.Error("one that is three times as slow is of the same kind")
	}
}

// Each of two kinds has its own mean, whatever order they come in, and who is
// like nobody stays as it is.
func TestAlikeAreOneKind(t *testing.T) {
	all := []Rates{
		{Overhead: 0.03, Token: 200e-6, Step: 0.010}, {Overhead: 0.03, Token: 2000e-6, Step: 0.050},
		{Overhead: 0.03, Token: 220e-6, Step: 0.010}, {Overhead: 0.03, Token: 2200e-6, Step: 0.050},
		{Overhead: 0.03, Token: 210e-6, Step: 0.011}, {Overhead: 2, Token: 210e-6, Step: 0.010},
	}
	got := Alike(all, 0, 0)
	for i, token := range []float64{210e-6, 2100e-6, 210e-6, 2100e-6, 210e-6, 210e-6} {
		within(t, "token", got[i].Token, token, 1e-9)
	}
	if got[0] != got[2] || got[0] != got[4] || got[1] != got[3] || got[5] != all[5] {
		t.Errorf("%+v", got)
	}
	if len(Alike(nil, 0, 0)) != 0 {
		t.Error("of none there are some")
	}
}
