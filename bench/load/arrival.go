package load

import (
	"math/rand/v2"
	"time"
)

// arrivals are the times at which an open loop's requests go out: a Poisson
// process, the same for the same seed.
type arrivals struct {
	dice *rand.Rand
	mean float64 // ns between two
	at   float64 // ns since the run began
}

// arrivalStream tells these random numbers from those of prompts.
const arrivalStream = 0xa881_4a15

func newArrivals(rate float64, seed uint64) *arrivals {
	return &arrivals{dice: rand.New(rand.NewPCG(seed, arrivalStream)), mean: 1e9 / rate}
}

// next is when the next request goes out, since the run began.
func (a *arrivals) next() time.Duration {
	a.at += a.dice.ExpFloat64() * a.mean
	return time.Duration(a.at)
}
