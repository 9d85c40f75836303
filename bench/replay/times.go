package replay

import (
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Times are how long something took, in ms.
type Times struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
}

// times counts them, in memory that does not grow with their number. The zero
// value has none.
type times struct {
	micros *hdrhistogram.Histogram
	total  float64
	n      int
}

// longest is what longer ones count as.
const longest = 3600e6

func (t *times) add(ms float64) {
	if t.micros == nil {
		t.micros = hdrhistogram.New(1, longest, 3)
	}
	us := min(max(ms*1e3, 0), longest)
	t.n++
	t.total += us / 1e3
	if t.micros.RecordValue(int64(us)) != nil {
		panic("replay: a time beyond its bounds") // they are above
	}
}

func (t *times) sum() Times {
	if t.n == 0 {
		return Times{}
	}
	at := func(q float64) float64 { return round(float64(t.micros.ValueAtQuantile(q)) / 1e3) }
	return Times{N: t.n, Mean: round(t.total / float64(t.n)), P50: at(50), P90: at(90), P99: at(99)}
}

func round(v float64) float64 { return math.Round(v*1e3) / 1e3 }
