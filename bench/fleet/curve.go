package fleet

import (
	"cmp"
	"slices"
	"strconv"

	"gonum.org/v1/plot/plotter"

	"penstock/bench/chart"
)

// curve is one picture: a figure of every policy over the rates.
type curve struct {
	name  string
	log   bool // figures far apart
	of    func(*Row) float64
	write func(float64) string // with its unit; nil: without
}

var curves = []curve{
	{"goodput, requests/s", false, func(r *Row) float64 { return r.GoodputRPS }, nil},
	{"TTFT p50", true, func(r *Row) float64 { return r.TTFT.P50 }, briefly},
	{"TTFT p90", true, func(r *Row) float64 { return r.TTFT.P90 }, briefly},
	{"TTFT p99", true, func(r *Row) float64 { return r.TTFT.P99 }, briefly},
	{"TPOT p50", false, func(r *Row) float64 { return r.TPOT.P50 }, briefly},
	{"TPOT p99", true, func(r *Row) float64 { return r.TPOT.P99 }, briefly},
	{"prefix hits, % of prompt tokens", false, func(r *Row) float64 { return 100 * r.PrefixHitRate }, inPercent},
	{"imbalance, busiest over mean", false, func(r *Row) float64 { return r.Imbalance }, nil},
	{"rejected, % of requests", false, func(r *Row) float64 { return 100 * float64(r.Rejected+r.Failed) / float64(r.Requests) }, inPercent},
}

// briefly writes milliseconds as few digits, for an axis.
func briefly(ms float64) string {
	if ms < 1000 {
		return digits(ms) + " ms"
	}
	return digits(ms/1000) + " s"
}

func inPercent(v float64) string { return digits(v) + " %" }

// digits hides what sums are off by.
func digits(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// chart is the curve, with a line for each policy.
func (c *curve) chart(r *Report) *chart.Chart {
	drawn := &chart.Chart{Title: c.name, X: r.Unit, LogY: c.log, Y: c.write, Dots: true}
	for _, policy := range r.policies() {
		drawn.Lines = append(drawn.Lines, c.points(r, policy))
	}
	return drawn
}

// points leave out a run in which there was nothing to measure.
func (c *curve) points(r *Report, policy string) plotter.XYs {
	var xys plotter.XYs
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Policy != policy || row.Requests == 0 || c.log && c.of(row) == 0 {
			continue
		}
		xys = append(xys, plotter.XY{X: row.Rate, Y: c.of(row)})
	}
	slices.SortFunc(xys, func(a, b plotter.XY) int { return cmp.Compare(a.X, b.X) })
	return xys
}

// policies are those of the rows, in order.
func (r *Report) policies() []string {
	var names []string
	for i := range r.Rows {
		if !slices.Contains(names, r.Rows[i].Policy) {
			names = append(names, r.Rows[i].Policy)
		}
	}
	return names
}
