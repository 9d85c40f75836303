// Package chart draws the curves of the reports' pages, and holds what the pages
// look like.
package chart

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"slices"

	_ "embed"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Style is the pages' CSS.
//
//go:embed style.css
var Style template.CSS

// Chart is one picture.
type Chart struct {
	Title, X string // of the picture, and of its horizontal axis
	LogX     bool
	LogY     bool // figures far apart; else the axis begins with 0
	Dots     bool // at each point, and its figure under the axis
	Lines    []plotter.XYs

	Y func(float64) string // writes a figure of the vertical axis; nil: bare
}

// paints are Okabe and Ito's colours, which the colour-blind can tell apart, and
// darker ones for the lines after them.
var paints = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
	{0xe6, 0x9f, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x77, 0x77, 0x77, 0xff}, {0x00, 0x00, 0x00, 0xff},
	{0x7a, 0x1f, 0x1f, 0xff}, {0x2f, 0x4f, 0x7f, 0xff}, {0x5a, 0x7a, 0x1f, 0xff}, {0x6a, 0x3d, 0x9a, 0xff},
	{0xb1, 0x59, 0x28, 0xff}, {0x1f, 0x78, 0x78, 0xff},
}

func paintOf(n int) color.RGBA { return paints[n%len(paints)] }

// dashesOf tells apart more lines than there are colours.
func dashesOf(n int) []vg.Length {
	if n < len(paints) {
		return nil
	}
	return []vg.Length{vg.Points(4), vg.Points(2)}
}

// Color and Stroke are the n-th line's, as CSS has them.
func Color(n int) template.CSS {
	c := paintOf(n)
	return template.CSS(fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B))
}

func Stroke(n int) template.CSS {
	if dashesOf(n) != nil {
		return "dashed"
	}
	return "solid"
}

// least is what a logarithm's axis begins with.
const least = 1e-3

// margin is free at the left and the right: a browser's letters may be wider
// than those that the library measures.
const margin = vg.Length(10)

// SVG draws the chart, as an element of a page.
func (c *Chart) SVG() (template.HTML, error) {
	p, err := c.plot()
	if err != nil {
		return "", err
	}
	canvas := vgsvg.New(vg.Points(330), vg.Points(230))
	p.Draw(draw.Crop(draw.New(canvas), margin, -margin, 0, 0))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", err
	}
	_, svg, _ := bytes.Cut(out.Bytes(), []byte("<svg")) // what stands before it has no place within a page
	return template.HTML("<svg" + string(svg)), nil     // the plotting library escapes text
}

func (c *Chart) plot() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = scaled(c.Title, c.LogY), scaled(c.X, c.LogX)
	for _, f := range []*font.Font{&p.Title.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font} {
		f.Variant = "Sans"
	}
	p.Add(plotter.NewGrid())
	for n, xys := range c.Lines {
		if len(xys) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(c.shown(xys))
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.Dashes = paintOf(n), vg.Points(1.5), dashesOf(n)
		points.Color, points.Shape, points.Radius = paintOf(n), draw.CircleGlyph{}, vg.Points(2)
		if p.Add(line); c.Dots {
			p.Add(points)
		}
	}
	c.scale(p)
	return p, nil
}

// scale gives the axes their ends and their numbers, after all lines are there.
func (c *Chart) scale(p *plot.Plot) {
	write := func(v float64) string { return c.write(v) + " " } // or a wider letter would touch the tick
	switch {
	case c.LogX:
		scaleLog(&p.X, plain)
	case c.Dots:
		scaleUnder(&p.X, c.Lines)
	}
	if c.LogY {
		scaleLog(&p.Y, write)
	} else {
		scaleFromZero(&p.Y, write)
	}
}

func (c *Chart) write(v float64) string {
	if c.Y == nil {
		return plain(v)
	}
	return c.Y(v)
}

// scaled says of a heading that its axis is a logarithm's.
func scaled(heading string, log bool) string {
	if log {
		return heading + " (log scale)"
	}
	return heading
}

// shown is a line as its axes can show it.
func (c *Chart) shown(xys plotter.XYs) plotter.XYs {
	xys = slices.Clone(xys)
	for i := range xys {
		if c.LogX {
			xys[i].X = max(xys[i].X, least)
		}
		if c.LogY {
			xys[i].Y = max(xys[i].Y, least)
		}
	}
	return xys
}
