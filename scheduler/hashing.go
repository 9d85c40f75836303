package scheduler

import (
	"math"
	"slices"

	"github.com/zeebo/xxh3"
)

// points is how many places an instance has on the ring.
const points = 256

// ringPoints are an instance's places, sorted.
func ringPoints(name string) (p [points]uint64) {
	h := xxh3.HashString(name)
	for n := range p {
		h = next(h)
		p[n] = h
	}
	slices.Sort(p[:])
	return p
}

// chwbl is KubeAI's: consistent hashing with bounded loads (Mirrokni, Thorup,
// Zadimoghaddam 2016), of the first 100 characters that the user said, on a ring
// with 256 places for each instance, no load above 1.25 of the mean.
var chwbl = policy{name: "chwbl", signals: []int{sigRunning}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	total := 1.0
	for n := range c {
		total += c[n].requests()
	}
	bound := math.Ceil(1.25 * total / float64(len(c)))
	key := q.ringKey()
	return fewest(q.Rand, c, func(c *candidate) bool { return c.requests()+1 <= bound }, func(c *candidate) float64 {
		// How far it is to the instance's next place, clockwise.
		p := &c.inst.points
		n, _ := slices.BinarySearch(p[:], key)
		return float64(p[n%points] - key)
	}), "its place on the ring"
}}

// ringKey is what KubeAI hashes: what the user says first. The beginning of the
// prompt, which blocks are hashes of, is a system's that many share; the second
// block is where they part.
func (q *Query) ringKey() uint64 {
	switch {
	case len(q.Prefix) > 1:
		return next(q.Prefix[1])
	case len(q.Prefix) == 1:
		return next(q.Prefix[0])
	case q.Session != 0:
		return next(q.Session)
	}
	return q.Rand
}
