package fleet

import (
	"bytes"
	"image/color"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
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

// paints are Okabe and Ito's colours, which the colour-blind can tell apart, and
// darker ones for the policies after them.
var paints = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x77, 0x77, 0x77, 0xff}, {0x00, 0x00, 0x00, 0xff},
	{0x7a, 0x1f, 0x1f, 0xff}, {0x2f, 0x4f, 0x7f, 0xff}, {0x5a, 0x7a, 0x1f, 0xff}, {0x6a, 0x3d, 0x9a, 0xff},
	{0xb1, 0x59, 0x28, 0xff}, {0x1f, 0x78, 0x78, 0xff},
}

func paintOf(n int) color.RGBA { return paints[n%len(paints)] }

// dashesOf tells apart the lines of more policies than there are colours.
func dashesOf(n int) []vg.Length {
	if n < len(paints) {
		return nil
	}
	return []vg.Length{vg.Points(4), vg.Points(2)}
}

// least is what a logarithm's axis begins with.
const least = 1e-3

// svg draws the curve.
func (c *curve) svg(r *Report) ([]byte, error) {
	p, err := c.plot(r)
	if err != nil {
		return nil, err
	}
	canvas := vgsvg.New(vg.Points(330), vg.Points(230))
	p.Draw(draw.Crop(draw.New(canvas), 0, -vg.Points(10), 0, 0)) // the last label is wider than its tick
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	_, svg, _ := bytes.Cut(out.Bytes(), []byte("<svg"))
	return append([]byte("<svg"), svg...), nil // what stands before it has no place within a page
}

func (c *curve) plot(r *Report) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = c.name, r.Unit
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant = "Sans"
	}
	p.Add(plotter.NewGrid())
	if c.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, marks{}
	} else {
		p.Y.Min = 0
	}
	for n, policy := range r.policies() {
		line, points, err := plotter.NewLinePoints(c.points(r, policy))
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.Dashes = paintOf(n), vg.Points(1.5), dashesOf(n)
		points.Color, points.Shape, points.Radius = paintOf(n), draw.CircleGlyph{}, vg.Points(2)
		p.Add(line, points)
	}
	if c.log {
		p.Y.Min, p.Y.Max = around(p.Y.Min, p.Y.Max)
	}
	return p, nil
}

// marks are a logarithm's ticks: 1, 2, 5, 10 …
type marks struct{}

func (marks) Ticks(low, high float64) (ticks []plot.Tick) {
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high; decade *= 10 {
		for _, v := range [...]float64{decade, 2 * decade, 5 * decade} {
			if v >= low*(1-1e-9) && v <= high*(1+1e-9) {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 3, 64)})
			}
		}
	}
	return ticks
}

// around are the marks below and above.
func around(low, high float64) (float64, float64) {
	all := marks{}.Ticks(low/10, high*10)
	below, above := all[0].Value, all[len(all)-1].Value
	for _, t := range all {
		if t.Value <= low {
			below = max(below, t.Value)
		}
		if t.Value >= high {
			above = min(above, t.Value)
		}
	}
	return below, above
}

func (c *curve) points(r *Report, policy string) plotter.XYs {
	var xys plotter.XYs
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Policy == policy {
			y := c.of(row)
			if c.log {
				y = max(y, least)
			}
			xys = append(xys, plotter.XY{X: row.Rate, Y: y})
		}
	}
	slices.SortFunc(xys, func(a, b plotter.XY) int {
		if a.X < b.X {
			return -1
		}
		return 1
	})
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
