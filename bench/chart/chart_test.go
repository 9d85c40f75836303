package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
)

func TestChartIsAnElement(t *testing.T) {
	f := func(c Chart) {
		t.Helper()
		svg, err := c.SVG()
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		if !strings.HasPrefix(string(svg), "<svg") || strings.Contains(string(svg), "<script") {
			t.Errorf("%+v: got %.80s", c, svg)
		}
		d := xml.NewDecoder(strings.NewReader(string(svg)))
		for err == nil {
			_, err = d.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%+v: no XML: %v", c, err)
		}
	}
	two := []plotter.XYs{{{X: 1, Y: 5}, {X: 2, Y: 0}}, {{X: 0, Y: 3}, {X: 9, Y: 4}}}
	f(Chart{Title: "<script>", X: "a & b", Lines: two})
	f(Chart{Lines: two, LogX: true, LogY: true, Dots: true}) // a 0 has no logarithm
	f(Chart{Lines: []plotter.XYs{nil, two[0]}})
	f(Chart{Lines: []plotter.XYs{{{X: 3, Y: 3}}}, LogX: true}) // a point has no width
	f(Chart{Lines: []plotter.XYs{{{X: 3, Y: 3}, {X: 3, Y: 3}}}, LogX: true, LogY: true})
	for _, v := range []float64{0, least, 0.064, 1, 1e9} { // the library widens it to v-1
		f(Chart{Lines: []plotter.XYs{{{X: v, Y: v}}}, LogX: true, LogY: true, Dots: true})
		f(Chart{Lines: []plotter.XYs{{{X: v, Y: v}}, {{X: v, Y: v}}}, LogY: true})
	}
	f(Chart{})
	f(Chart{LogX: true, LogY: true}) // nor has it a range without points
	f(Chart{LogX: true, LogY: true, Lines: []plotter.XYs{nil, {}}})
}

func TestLinesAreToldApart(t *testing.T) {
	seen := make(map[string]bool)
	for n := range 2 * len(paints) {
		style := string(Color(n) + Stroke(n))
		if seen[style] {
			t.Errorf("line %d looks like one before it: %s", n, style)
		}
		seen[style] = true
	}
}
