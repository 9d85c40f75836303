package predict

import "testing"

// Each of two kinds has its own mean, whatever order they come in, and who is
// like nobody stays as it is.
func TestAlikeAreOneKind(t *testing.T) {
	all := []Rates{
		{Overhead: 0.03, Token: 200e-6, Step: 0.010}, {Overhead: 0.03, Token: 2000e-6, Step: 0.050},
		{Overhead: 0.03, Token: 220e-6, Step: 0.010}, {Overhead: 0.03, Token: 2200e-6, Step: 0.050},
		{Overhead: 0.03, Token: 210e-6, Step: 0.011}, {Overhead: 2, Token: 210e-6, Step: 0.010},
	}
	got := Alike(all)
	for i, token := range []float64{210e-6, 2100e-6, 210e-6, 2100e-6, 210e-6, 210e-6} {
		within(t, "token", got[i].Token, token, 1e-9)
	}
	if got[0] != got[2] || got[0] != got[4] || got[1] != got[3] || got[5] != all[5] {
		t.Errorf("%+v", got)
	}
	if len(Alike(nil)) != 0 {
		t.Error("of none there are some")
	}
}
