package predict

import "math"

// terms is how many coefficients a fit has.
const terms = 4

// vector is a measurement's inputs, or the coefficients.
type vector [terms]float64

func (v *vector) dot(w *vector) (sum float64) {
	for i := range v {
		sum += v[i] * w[i]
	}
	return sum
}

// fit is a recursive least-squares fit that forgets (Ljung, System
// Identification, 11.2), whose coefficients are not negative and which no single
// measurement moves far. The zero value is not ready: see begin.
type fit struct {
	theta  vector
	cov    [terms]vector
	first  vector  // the variances that it began with: it never knows less
	spread float64 // of errors, as a share of what was expected; forgetting
	n      int
}

const (
	// memory is how many measurements the fit remembers, roughly.
	memory = 512
	// farOff is how many times the usual error a measurement counts at most:
	// what is further off is a hiccup (Huber's bound for a normal error is 1.3
	// standard deviations, which are 1.7 mean errors).
	farOff = 2.5
	// firstSpread is the share that measurements are off at first.
	firstSpread = 0.3
	// blur is what every measurement may be off, in seconds: clocks, networks
	// and schedulers.
	blur = 0.002
)

// begin starts from what is typical, and how far that may be off.
func (f *fit) begin(typical, doubt vector) {
	*f = fit{theta: typical, spread: firstSpread}
	for i := range doubt {
		f.first[i] = doubt[i] * doubt[i]
		f.cov[i][i] = f.first[i]
	}
}

// learn takes in that inputs x led to y.
func (f *fit) learn(x vector, y float64) {
	expected := f.theta.dot(&x)
	scale := blur + max(expected, y)
	miss := y - expected
	share := math.Abs(miss) / scale
	if bound := farOff * f.spread; share > bound {
		miss *= bound / share
	}
	f.spread += (min(share, 1) - f.spread) / 64
	f.n++

	noise := blur + f.spread*max(expected, y/2)
	px := f.spreadOf(&x)
	gain := 1 / (noise*noise + px.dot(&x))
	for i := range px {
		f.theta[i] = max(f.theta[i]+px[i]*gain*miss, 0)
		for j := range px {
			f.cov[i][j] -= px[i] * px[j] * gain
		}
	}
	f.forget()
}

// spreadOf is cov times x.
func (f *fit) spreadOf(x *vector) (px vector) {
	for i := range px {
		px[i] = f.cov[i].dot(x)
	}
	return px
}

// forget lets what is known grow older, but nothing be less known than at first:
// a coefficient that no measurement tells anything of would be lost otherwise.
func (f *fit) forget() {
	const grow = 1 + 1.0/memory
	var by vector
	for i := range by {
		by[i] = 1
		if f.cov[i][i]*grow < f.first[i] {
			by[i] = math.Sqrt(grow)
		}
	}
	for i := range by {
		for j := range by {
			f.cov[i][j] *= by[i] * by[j]
		}
		f.cov[i][i] = max(f.cov[i][i], f.first[i]*1e-9)
	}
}
