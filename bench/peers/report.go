package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
)

// report is everything that a run found, as it goes to the JSON file.
type report struct {
	Kernel     string   `json:"kernel"`
	CPUs       int      `json:"cpus"`
	GoMaxProcs string   `json:"gomaxprocs"` // of the proxies in Go
	Rounds     int      `json:"rounds"`
	WindowS    float64  `json:"window_s"`
	Results    []result `json:"results"`
}

// row is one figure of the table.
type row struct {
	title string
	of    string // case
	get   func(result) float64
	added bool // a latency: shown as what a proxy adds to the way without one
}

func cpu(r result) float64  { return r.CPUMicros }
func rate(r result) float64 { return r.PerSecond }
func p50(r result) float64  { return r.P50Micros }
func p99(r result) float64  { return r.P99Micros }

var rows = []row{
	{"220 KB, 20 clients: CPU µs", "large-20", cpu, false},
	{"  requests/s", "large-20", rate, false},
	{"220 KB, 100 clients: CPU µs", "large-100", cpu, false},
	{"  requests/s", "large-100", rate, false},
	{"small, 32 clients: CPU µs", "small", cpu, false},
	{"  requests/s", "small", rate, false},
	{"small, 2000/s: CPU µs", "rate", cpu, false},
	{"  answer p50, µs", "rate", p50, true},
	{"  answer p99, µs", "rate", p99, true},
	{"small, 1 client: CPU µs", "unloaded", cpu, false},
	{"  answer p50, µs", "unloaded", p50, true},
	{"  answer p99, µs", "unloaded", p99, true},
	{"500 streams × 20/s: CPU µs/event", "streams", cpu, false},
	{"  event p50, µs", "streams", p50, true},
	{"  event p99, µs", "streams", p99, true},
	{"2000 open streams: KiB/stream", "memory", func(r result) float64 { return r.StreamKiB }, false},
	{"  idle, MiB", "memory", func(r result) float64 { return r.IdleMiB }, false},
}

// bases are what Penstock is compared with.
var bases = []string{"floor", "haproxy", "no-kernel"}

// write shows the medians of the rounds, one row for each figure.
func (rp *report) write(w io.Writer) {
	names := rp.proxies()
	fmt.Fprintf(w, "\nMedians of %d interleaved rounds of %v s each (Linux %s, one core for the proxy, GOMAXPROCS %s).\n"+
		"CPU is the proxy's, for each request or event; +: what it adds to the way without a proxy; x: Penstock's ratio in the same round.\n\n",
		rp.Rounds, rp.WindowS, rp.Kernel, rp.GoMaxProcs)

	table := [][]string{append([]string{""}, names...)}
	compared := rp.compared(names)
	for _, base := range compared {
		table[0] = append(table[0], "x "+base)
	}
	for _, r := range rows {
		line := []string{r.title}
		for _, name := range names {
			line = append(line, rp.cell(name, r))
		}
		for _, base := range compared {
			line = append(line, number(median(rp.ratios("penstock", base, r)), 2))
		}
		if strings.Trim(strings.Join(line[1:], ""), "-") != "" { // or the case was not asked for
			table = append(table, line)
		}
	}
	writeTable(w, table)
	rp.remarks(w)
}

// cell is what one proxy had in one row.
func (rp *report) cell(name string, r row) string {
	v, digits := median(values(rp.of(name, r))), 1
	if math.Abs(v) >= 100 {
		digits = 0
	}
	if r.added && name != direct && !math.IsNaN(v) {
		return "+" + number(v, digits)
	}
	if name == direct && v == 0 { // CPU of no proxy
		return "-"
	}
	return number(v, digits)
}

// remarks says what takes something from the figures above.
func (rp *report) remarks(w io.Writer) {
	for _, r := range rp.Results {
		if r.Error != "" {
			fmt.Fprintf(w, "\nNot measured: %s, %s, round %d: %s.\n", r.Proxy, r.Case, r.Round, r.Error)
		}
		if r.Failed > 0 || r.EventsMissed > int64(r.Count/100) {
			fmt.Fprintf(w, "\nNot clean: %s, %s, round %d: %d requests failed, %d events missed.\n",
				r.Proxy, r.Case, r.Round, r.Failed, r.EventsMissed)
		}
	}
	for _, c := range []string{"small", "large-20", "large-100"} {
		busy := median(values(rp.of("penstock", row{of: c, get: func(r result) float64 { return r.Busy }})))
		if busy < 0.9 {
			fmt.Fprintf(w, "\n%s: Penstock used %.0f %% of its core; the load, or another program, was the limit of requests/s.\n", c, 100*busy)
		}
	}
}

// proxies are the names in the results, in their order.
func (rp *report) proxies() (names []string) {
	for _, r := range rp.Results {
		if !slices.Contains(names, r.Proxy) {
			names = append(names, r.Proxy)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// rank puts direct first and leaves the rest.
func rank(name string) int {
	if name == direct {
		return 0
	}
	return 1
}

// compared are the bases that Penstock was measured beside.
func (rp *report) compared(names []string) []string {
	if !slices.Contains(names, "penstock") {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(bases), func(base string) bool { return !slices.Contains(names, base) })
}

// of are a proxy's figures by round.
func (rp *report) of(name string, r row) map[int]float64 {
	by := map[int]float64{}
	for _, v := range rp.Results {
		if v.Proxy == name && v.Case == r.of && v.Error == "" {
			by[v.Round] = r.get(v)
		}
	}
	if r.added && name != direct {
		for round, v := range rp.of(direct, r) {
			if _, ok := by[round]; ok {
				by[round] -= v
			}
		}
	}
	return by
}

// ratios compares within each round: what disturbed the machine then disturbed
// both.
func (rp *report) ratios(name, base string, r row) (ratios []float64) {
	of := rp.of(base, r)
	for round, v := range rp.of(name, r) {
		if of[round] > 0 {
			ratios = append(ratios, v/of[round])
		}
	}
	return ratios
}

func (rp *report) save(path string) error {
	text, err := json.MarshalIndent(rp, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

func values(by map[int]float64) (list []float64) {
	for _, v := range by {
		list = append(list, v)
	}
	return list
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func number(v float64, digits int) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// writeTable writes Markdown whose columns line up in a terminal too.
func writeTable(w io.Writer, table [][]string) {
	widths := make([]int, len(table[0]))
	for _, line := range table {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for k, line := range table {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 {
				fmt.Fprint(w, "| ", cell, pad)
			} else {
				fmt.Fprint(w, " | ", pad, cell)
			}
		}
		fmt.Fprintln(w, " |")
		if k > 0 {
			continue
		}
		for i, width := range widths {
			fmt.Fprint(w, "|", strings.Repeat("-", width+1), map[bool]string{true: "-", false: ":"}[i == 0])
		}
		fmt.Fprintln(w, "|")
	}
}
