package fleet

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"

	"penstock/bench/chart"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// Page is the reports as one HTML page that needs nothing else: curves, and the
// table behind them.
func Page(reports []*Report) ([]byte, error) {
	data := struct {
		Style    template.CSS
		Sections []section
	}{Style: chart.Style}
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
	Name, Title, About string
	Key                []keyed
	Curves             []template.HTML
	Columns            []string
	Rows               []line
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

func (r *Report) section() (section, error) {
	s := section{Name: r.Workload, Title: r.title(), About: r.subtitle(), Columns: columns}
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
		s.Rows = append(s.Rows, line{r.Rows[i].cells(false), bests[i]})
	}
	return s, nil
}
