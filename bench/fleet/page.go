package fleet

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"penstock/bench/chart"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Page is the reports as one HTML page that needs nothing else: curves, and the
// table behind them. made says by what, and when: the reports have neither, so
// that the same seed gives the same.
func Page(reports []*Report, made string) ([]byte, error) {
	data := struct {
		Style    template.CSS
		Made     string
		Meanings []Meaning
		Sections []section
	}{Style: chart.Style, Made: made, Meanings: Meanings}
	for _, r := range reports {
		s, err := r.section()
		if err != nil {
			return nil, fmt.Errorf("page of %s: %w", r.Workload, err)
		}
		data.Sections = append(data.Sections, s)
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, data)
	return out.Bytes(), err
}

// section is one report of the page.
type section struct {
	Name, Title string
	About       []string
	Key         []keyed
	Curves      []template.HTML
	Columns     []string
	Rows        []line
	Fairness    []string
}

// keyed is a policy in its colour.
type keyed struct {
	Policy string
	Color  template.CSS
	Style  template.CSS // of the line
}

type line struct {
	Cells []string
	Best  bool
}

// pageColumns are the table's, and times that a terminal has no room for.
var pageColumns = append(slices.Clone(columns),
	column{name: "arrivals", cell: func(r *Row) string { return fmt.Sprintf("%.1f s", r.ArrivalsS) }},
	column{name: "in all", cell: func(r *Row) string { return fmt.Sprintf("%.1f s", r.DurationS) }},
)

// settingsText lists every option, those left alone too.
func (r *Report) settingsText() string {
	var list []string
	for _, o := range r.options() {
		list = append(list, o.flag+" "+o.value)
	}
	return "Options: " + strings.Join(list, "; ") + "."
}

func (r *Report) section() (section, error) {
	s := section{Name: r.Workload, Title: r.title(), Columns: headings(pageColumns), Fairness: r.fairness()}
	s.About = []string{r.subtitle(), r.arrivals(), r.settingsText()}
	for n, policy := range r.policies() {
		s.Key = append(s.Key, keyed{policy, chart.Color(n), chart.Stroke(n)})
	}
	for i := range curves {
		svg, err := curves[i].chart(r).SVG()
		if err != nil {
			return s, err
		}
		s.Curves = append(s.Curves, svg)
	}
	bests := r.bests()
	for i := range r.Rows {
		s.Rows = append(s.Rows, line{r.Rows[i].cells(pageColumns), bests[i]})
	}
	return s, nil
}
