package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// arrivals are the times at which an open loop's requests go out: a Poisson
// process, the same for the same seed.
type arrivals struct {
	dice *rand.Rand
	mean float64 // ns between two
	ramp float64 // ns in which the rate rises to that, from nothing
	sum  float64 // of the gaps so far, 1 being the mean
}

// arrivalStream tells these random numbers from those of prompts.
const arrivalStream = 0xa881_4a15

func newArrivals(rate float64, ramp time.Duration, seed uint64) *arrivals {
	return &arrivals{dice: rand.New(rand.NewPCG(seed, arrivalStream)), mean: 1e9 / rate, ramp: float64(ramp)}
}

// next is when the next request goes out, since the run began.
func (a *arrivals) next() time.Duration {
	a.sum += a.dice.ExpFloat64()
	// The time at which so many are expected to have come: a rising rate's are the
	// area of a triangle.
	if flat := a.sum * a.mean; flat > a.ramp/2 {
		return time.Duration(flat + a.ramp/2)
	}
	return time.Duration(math.Sqrt(2 * a.ramp * a.sum * a.mean))
}
