package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
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

// labels are the numbers beside or under an axis, which all lie within it.
func labels(t *testing.T, a *plot.Axis) (list []string) {
	t.Helper()
	for _, tick := range a.Tick.Marker.Ticks(a.Min, a.Max) {
		if tick.Value < a.Min || tick.Value > a.Max {
			t.Errorf("a tick at %v, beside the axis of %v to %v", tick.Value, a.Min, a.Max)
		}
		if !tick.IsMinor() {
			list = append(list, strings.TrimSpace(tick.Label))
		}
	}
	return list
}

func TestAxesHaveThreeNumbersOrMore(t *testing.T) {
	f := func(c Chart) {
		t.Helper()
		p, err := c.plot()
		if err != nil {
			t.Fatal(err)
		}
		if got := labels(t, &p.Y); len(got) < 3 || len(got) > mostLabels {
			t.Errorf("%+v: numbers %v", c, got)
		}
		for _, xys := range c.Lines {
			for _, at := range xys {
				if at.Y < p.Y.Min || at.Y > p.Y.Max {
					t.Errorf("%v is beside the axis of %v to %v", at.Y, p.Y.Min, p.Y.Max)
				}
			}
		}
	}
	for _, low := range []float64{0.001, 0.0999, 1, 5, 127, 1000, 99_999} {
		for _, wide := range []float64{1, 1.01, 2, 7, 40, 999, 1e5} {
			xys := []plotter.XYs{{{X: 1, Y: low}, {X: 2, Y: low * wide}}}
			f(Chart{Lines: xys, LogY: true})
			f(Chart{Lines: xys})
		}
	}
	f(Chart{LogY: true})
	f(Chart{})
}

func TestAnAxisOfNothingBeginsAtZero(t *testing.T) {
	c := Chart{Lines: []plotter.XYs{{{X: 1, Y: 0}, {X: 2, Y: 0}}}}
	if p, err := c.plot(); err != nil || p.Y.Min != 0 || p.Y.Max != 1 {
		t.Errorf("it runs from %v to %v, %v", p.Y.Min, p.Y.Max, err)
	}
}

func TestNumbersHaveUnitsAndALogarithmIsSaid(t *testing.T) {
	c := Chart{Title: "TTFT", LogY: true, Y: func(v float64) string { return plain(v) + " ms" }, Lines: []plotter.XYs{{{X: 1, Y: 150}}}}
	p, err := c.plot()
	if got := labels(t, &p.Y); err != nil || !slices.Equal(got, []string{"50 ms", "100 ms", "200 ms", "500 ms"}) {
		t.Errorf("numbers %q, %v", got, err)
	}
	if p.Title.Text != "TTFT (log scale)" {
		t.Errorf("the heading is %q", p.Title.Text)
	}
}

func TestDotsHaveTheirFiguresBelow(t *testing.T) {
	f := func(want []string, xs ...float64) {
		t.Helper()
		c := Chart{Dots: true, Lines: []plotter.XYs{nil}}
		for _, x := range xs {
			c.Lines[0] = append(c.Lines[0], plotter.XY{X: x, Y: 1})
		}
		p, err := c.plot()
		got := labels(t, &p.X)
		if slices.Reverse(got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v: numbers %v, want %v, %v", xs, got, want, err)
		}
	}
	f([]string{"10", "60"}, 10, 60)
	f([]string{"0", "13", "26"}, 13)
	f([]string{"4", "8", "12", "14", "16"}, 4, 8, 12, 13, 14, 16) // no room for 13
	f([]string{"0.5", "1"}, 1, 0.5, 1)
}

func TestStepsAreRound(t *testing.T) {
	for least, want := range map[float64]float64{1: 1, 1.1: 2, 2.1: 2.5, 3: 5, 6: 10, 0.03: 0.05, 0.0007: 0.001, 250: 250} {
		if got := stepFor(least); math.Abs(got-want) > want*1e-12 {
			t.Errorf("of %v: %v, want %v", least, got, want)
		}
	}
}
