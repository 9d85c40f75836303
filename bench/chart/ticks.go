package chart

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

const (
	mostLabels = 9   // that a logarithm's axis has room for
	apart      = 0.1 // of an axis, that labels under it need
)

// plain writes an axis's figure; 6 digits hide what sums of steps round.
func plain(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// scaleLog gives an axis a logarithm's scale, from one round figure to another.
// An axis without points, or with one value, has a width all the same.
func scaleLog(a *plot.Axis, write func(float64) string) {
	low, high := a.Min, a.Max
	switch {
	case low > high: // no points
		low, high = 1, 10
	case low == high:
		low, high = low/2, high*2
	}
	list := rounds(low, high)
	var ticks []plot.Tick
	for _, v := range list {
		label := write(v)
		if len(list) > mostLabels && v != math.Pow10(int(math.Round(math.Log10(v)))) {
			label = ""
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
	}
	a.Scale, a.Tick.Marker = plot.LogScale{}, plot.ConstantTicks(ticks)
	a.Min, a.Max = list[0], list[len(list)-1]
}

// rounds are 1, 2 and 5 times powers of ten, at least three, from the last that
// is not above low to the first that is not below high.
func rounds(low, high float64) []float64 {
	var list []float64
	for e := int(math.Log10(low)) - 2; e <= int(math.Log10(high))+2; e++ {
		for _, m := range []float64{1, 2, 5} {
			list = append(list, timesPow10(m, e))
		}
	}
	for list[1] <= low {
		list = list[1:]
	}
	for len(list) > 3 && list[len(list)-2] >= high {
		list = list[:len(list)-1]
	}
	return list
}

// timesPow10 rounds once, so that what it gives prints in few digits.
func timesPow10(m float64, e int) float64 {
	if e < 0 {
		return m / math.Pow10(-e)
	}
	return m * math.Pow10(e)
}

// scaleFromZero lets an axis run from 0 to a round figure, with three labels to
// five.
func scaleFromZero(a *plot.Axis, write func(float64) string) {
	if !(a.Max > 0) || math.IsInf(a.Max, 0) {
		a.Max = 1
	}
	step := stepFor(a.Max / 4)
	n := int(math.Ceil(a.Max / step))
	var ticks []plot.Tick
	for i := range n + 1 {
		v := float64(i) * step
		ticks = append(ticks, plot.Tick{Value: v, Label: write(v)})
	}
	a.Min, a.Max, a.Tick.Marker = 0, float64(n)*step, plot.ConstantTicks(ticks)
}

// stepFor is the first of 1, 2, 2.5 and 5 times powers of ten that is not below
// least.
func stepFor(least float64) float64 {
	e := int(math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if v := timesPow10(m, e); v >= least {
			return v
		}
	}
	return timesPow10(1, e+1)
}

// scaleUnder labels an axis with the points' own figures, the last first, as far
// as there is room. A lone one stands in the middle.
func scaleUnder(a *plot.Axis, lines []plotter.XYs) {
	var list []float64
	for _, xys := range lines {
		for _, p := range xys {
			list = append(list, p.X)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) == 1 && list[0] > 0 {
		list = []float64{0, list[0], 2 * list[0]}
	}
	if len(list) < 2 {
		return // the library's own
	}
	a.Min, a.Max = list[0], list[len(list)-1]
	var ticks []plot.Tick
	free := math.Inf(1)
	for _, v := range slices.Backward(list) {
		label := ""
		if v <= free {
			label, free = plain(v), v-apart*(a.Max-a.Min)
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: label})
	}
	a.Tick.Marker = plot.ConstantTicks(ticks)
}
