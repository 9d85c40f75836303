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
	spread float64 // mean size of errors, as a share of what was expected; forgetting
	bias   float64 // mean error, likewise, forgetting sooner
}

const (
	// memory is how many measurements the fit remembers, roughly.
	memory = 512
	// farOff is how many times the usual error a measurement counts at most:
	// what is further off is a hiccup (Huber's bound for a normal error is 1.3
	// standard deviations, which are 1.7 mean errors).
	farOff = 2.5
	// systematic is the share of the errors' size from which their mean is no
	// chance: over four standard deviations of a mean of 32.
	systematic = 0.75
	// mostSeconds bounds what anything is expected to take.
	mostSeconds = 1e6
	// firstSpread is the share that measurements are off at first.
	firstSpread = 0.3
	// leastSpread keeps what is new from being taken for a hiccup, after much of
	// the same.
	leastSpread = 0.05
	// blur is what every measurement may be off, in seconds: clocks, networks
	// and schedulers.
	blur = 100e-6
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
	if !(expected < mostSeconds) { // nor is it a number, if an input is none
		return
	}
	scale := blur + math.Sqrt(max(expected, 0)*y) // as a factor, too much and too little are alike
	miss := y - expected
	share := math.Abs(miss) / scale
	if bound := farOff * f.spread; share > bound {
		miss *= bound / share
	}
	f.spread = max(f.spread+(min(share, 1)-f.spread)/64, leastSpread)
	f.bias += (max(min(miss/scale, 1), -1) - f.bias) / 32

	noise := blur + f.spread*scale
	px := f.spreadOf(&x)
	gain := 1 / (noise*noise + px.dot(&x))
	for i := range px {
		px[i] *= gain
		f.theta[i] += px[i] * miss
	}
	f.update(&px, &x, noise*noise)
	f.bound()
	grow := 1 + 1.0/memory
	if math.Abs(f.bias) > systematic*f.spread { // it is not what it was
		grow = 1.1
	}
	f.forget(grow)
}

// update is what a measurement of inputs x, with that variance, leaves to doubt,
// in Joseph's form: the shorter one subtracts, and in the end has negative
// variances.
func (f *fit) update(gain, x *vector, noise float64) {
	var left, half [terms]vector // 1 - gain x', and that times cov
	for i := range left {
		left[i][i] = 1
		for j := range x {
			left[i][j] -= gain[i] * x[j]
		}
	}
	for i := range half {
		for j := range x { // cov is symmetric
			half[i][j] = left[i].dot(&f.cov[j])
		}
	}
	for i := range half {
		for j := range i + 1 {
			v := half[i].dot(&left[j]) + noise*gain[i]*gain[j]
			f.cov[i][j], f.cov[j][i] = v, v
		}
	}
}

// bound moves coefficients that went below zero there, and the others with them
// as far as what one lacks is what another has too much.
func (f *fit) bound() {
	for i := range f.theta {
		if f.theta[i] >= 0 || f.cov[i][i] <= 0 {
			continue
		}
		by := -f.theta[i] / f.cov[i][i]
		for j := range f.theta {
			f.theta[j] += f.cov[j][i] * by
		}
	}
	for i := range f.theta {
		f.theta[i] = max(f.theta[i], 0)
	}
}

// spreadOf is cov times x: how doubtful each coefficient is in its direction.
func (f *fit) spreadOf(x *vector) (px vector) {
	for i := range px {
		px[i] = f.cov[i].dot(x)
	}
	return px
}

// forget lets what is known grow older, but nothing be less known than at first:
// a coefficient that no measurement tells anything of would be lost otherwise.
func (f *fit) forget(grow float64) {
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
