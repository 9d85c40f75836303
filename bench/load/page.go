package load

import (
	"bytes"
	_ "embed"
	html "html/template"
	"strings"

	"gonum.org/v1/plot/plotter"

	"penstock/bench/chart"
)

//go:embed page.html
var pageText string

var pageTemplate = html.Must(html.New("page").Parse(pageText))

// Page is the report as an HTML page that needs nothing else: what WriteText
// says, and how the times are distributed.
func (r *Report) Page() ([]byte, error) {
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return nil, err
	}
	data := struct {
		Style  html.CSS
		Text   string
		Curves []html.HTML
	}{Style: chart.Style, Text: text.String()}
	for i, name := range []string{"TTFT", "TPOT", "ITL", "the whole request"} {
		if i >= len(r.shares) || len(r.shares[i]) == 0 {
			continue
		}
		drawn := chart.Chart{Title: name + ": % that took at most", X: "ms", LogX: true, Lines: []plotter.XYs{r.shares[i]}}
		svg, err := drawn.SVG()
		if err != nil {
			return nil, err
		}
		data.Curves = append(data.Curves, svg)
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, data)
	return out.Bytes(), err
}
