package scheduler

import (
	"math"
	"slices"

	"github.com/zeebo/xxh3"
)

// points is how many places an instance has on the ring.
const points = 256

// ring is an instance's places, sorted, and for each of as many equal parts of the
// circle how many are before it: where to begin to look.
type ring struct {
	places [points]uint64
	before [points]uint8
}

func newRing(name string) *ring {
	r := new(ring)
	h := xxh3.HashString(name)
	for n := range r.places {
		h = next(h)
		r.places[n] = h
	}
	slices.Sort(r.places[:])
	for part := range r.before {
		n, _ := slices.BinarySearch(r.places[:], uint64(part)<<56)
		r.before[part] = uint8(min(n, points-1))
	}
	return r
}

// clockwise is how far it is from key to the next of the places.
func (r *ring) clockwise(key uint64) uint64 {
	n := int(r.before[key>>56])
	for n < points && r.places[n] < key {
		n++
	}
	return r.places[n%points] - key // past the last, the first is next
}

// chwbl is KubeAI's: consistent hashing with bounded loads (Mirrokni, Thorup,
// Zadimoghaddam 2016), of the first 100 characters that the user said, on a ring
// with 256 places for each instance, no load above 1.25 of the mean. The bound is
// rounded up, as in the paper, so that someone is always within it; KubeAI takes
// the first in its place where nobody is.
var chwbl = policy{name: "chwbl", signals: []int{sigRunning}, choose: func(q *Query, _ uint64, c []candidate) (int, string) {
	total := 1.0
	for n := range c {
		total += c[n].requests()
	}
	bound, key := math.Ceil(1.25*total/float64(len(c))), q.ringKey()
	return fewest(q.Rand, c, func(c *candidate) bool { return c.requests()+1 <= bound }, func(c *candidate) float64 {
		return float64(c.inst.ring.clockwise(key))
	}), "its place on the ring"
}}

// ringKey stands for the first 100 characters of the first thing that the user
// said, which is what KubeAI hashes. The beginning of the prompt, which blocks are
// hashes of, is a system's that many share; the second block is where they part,
// and no later turn changes it.
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
