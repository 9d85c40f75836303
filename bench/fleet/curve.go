package fleet

import (
	"cmp"
	"slices"

	"gonum.org/v1/plot/plotter"

	"penstock/bench/chart"
)

// curve is one picture: a figure of every policy over the rates.
type curve struct {
	name string
	log  bool // figures far apart
	of   func(*Row) float64
}

var curves = []curve{
	{"goodput, requests/s", false, func(r *Row) float64 { return r.GoodputRPS }},
	{"TTFT p50, s", true, func(r *Row) float64 { return r.TTFT.P50 / 1000 }},
	{"TTFT p90, s", true, func(r *Row) float64 { return r.TTFT.P90 / 1000 }},
	{"TTFT p99, s", true, func(r *Row) float64 { return r.TTFT.P99 / 1000 }},
	{"TPOT p50, ms", false, func(r *Row) float64 { return r.TPOT.P50 }},
	{"TPOT p99, ms", true, func(r *Row) float64 { return r.TPOT.P99 }},
	{"prefix hits, % of prompt tokens", false, func(r *Row) float64 { return 100 * r.PrefixHitRate }},
	{"imbalance, busiest over mean", false, func(r *Row) float64 { return r.Imbalance }},
	{"rejected, % of requests", false, func(r *Row) float64 { return 100 * float64(r.Rejected+r.Failed) / float64(max(r.Requests, 1)) }},
}

// chart is the curve, with a line for each policy.
func (c *curve) chart(r *Report) *chart.Chart {
	drawn := &chart.Chart{Title: c.name, X: r.Unit, LogY: c.log, Dots: true}
	for _, policy := range r.policies() {
		drawn.Lines = append(drawn.Lines, c.points(r, policy))
	}
	return drawn
}

func (c *curve) points(r *Report, policy string) plotter.XYs {
	var xys plotter.XYs
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Policy == policy {
			xys = append(xys, plotter.XY{X: row.Rate, Y: c.of(row)})
		}
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
