package workload

import (
	"math"
	"math/rand/v2"
	"time"
)

// dice are random numbers, the same for the same seed and use.
type dice struct{ *rand.Rand }

func newDice(seed, use uint64) dice { return dice{rand.New(rand.NewPCG(seed, use))} }

// lengths are a heavy-tailed distribution of counts of tokens: log-normal, the
// logarithm's deviation being spread, cut at most.
type lengths struct {
	mean, spread float64
	most         int
}

func (l lengths) draw(d dice) int {
	v := l.mean * math.Exp(l.spread*d.NormFloat64()-l.spread*l.spread/2)
	return int(min(max(math.Round(v), 1), float64(l.most)))
}

// pause is the time to a Poisson process's next event.
func (d dice) pause(rate float64) time.Duration {
	return time.Duration(d.ExpFloat64() / rate * float64(time.Second))
}

// poisson calls make for each arrival until the time is over.
func (d dice) poisson(rate float64, from, to time.Duration, make func() *Request) Stream {
	at := from
	return func() *Request {
		if at += d.pause(rate); at >= to {
			return nil
		}
		r := make()
		r.At = at
		return r
	}
}
