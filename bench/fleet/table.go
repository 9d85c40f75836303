package fleet

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
)

// WriteText writes the report for people: a table, with what it is of above it.
// width is that of the terminal, which the table is made to fit; 0: there is none.
func (r *Report) WriteText(w io.Writer, width int) error {
	paint := lipgloss.NewRenderer(w)
	shown, left := r.fitting(width)
	var b strings.Builder
	for _, line := range Fold(r.title(), width) {
		b.WriteString(paint.NewStyle().Bold(true).Render(line) + "\n")
	}
	write := func(text string) {
		for _, line := range Fold(text, width) {
			b.WriteString(line + "\n")
		}
	}
	write(r.subtitle())
	write(r.arrivals())
	write(r.inForce())
	b.WriteString(r.table(paint, shown) + "\n")
	if len(left) > 0 {
		write("No room for: " + strings.Join(left, "; ") + ". A wider terminal has them, and --json.")
	}
	for _, text := range r.fairness() {
		write(text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) table(paint *lipgloss.Renderer, shown []column) string {
	cell := paint.NewStyle().Padding(0, 1)
	right, head, best := cell.Align(lipgloss.Right), cell.Bold(true), cell.Align(lipgloss.Right).Bold(true).Foreground(lipgloss.Color("10"))
	t := table.New().Border(lipgloss.NormalBorder()).BorderStyle(paint.NewStyle().Faint(true)).Headers(headings(shown)...)
	bests := r.bests()
	t.StyleFunc(func(row, col int) lipgloss.Style {
		switch {
		case row == table.HeaderRow:
			return head
		case shown[col].name == "goodput/s" && bests[row]:
			return best
		case shown[col].name == "policy":
			return cell
		}
		return right
	})
	for i := range r.Rows {
		cells := r.Rows[i].cells(shown)
		if i > 0 && r.Rows[i-1].Rate == r.Rows[i].Rate {
			cells[0] = ""
		}
		t.Row(cells...)
	}
	return t.Render()
}

// fitting are the columns that a terminal has room for, and the names of those
// that are left out.
func (r *Report) fitting(width int) (shown []column, left []string) {
	shown = slices.Clone(columns)
	for turn := 1; width > 0 && r.width(shown) > width; turn++ {
		i := slices.IndexFunc(shown, func(c column) bool { return c.turn == turn })
		if i < 0 {
			return shown, left // as narrow as it gets
		}
		left = append(left, shown[i].title())
		shown = slices.Delete(shown, i, i+1)
	}
	return shown, left
}

// width is that of the table: a line and a space before each cell, a space
// behind it, and a line at the end.
func (r *Report) width(shown []column) int {
	widths := make([]int, len(shown))
	widen := func(cells []string) {
		for i, cell := range cells {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	widen(headings(shown))
	for i := range r.Rows {
		widen(r.Rows[i].cells(shown))
	}
	all := 1
	for _, w := range widths {
		all += w + 3
	}
	return all
}

// Fold breaks a text between words into lines of at most width, where words
// allow it. 0: one line; an empty text has none.
func Fold(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last >= 0 && (width <= 0 || lipgloss.Width(lines[last])+1+lipgloss.Width(word) <= width) {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

func (r *Report) title() string { return r.Workload + ": " + r.About }

func (r *Report) subtitle() string {
	return fmt.Sprintf("%d × %s, %d gateway%s, scraped every %v ms, seed %d; good: TTFT ≤ %v s, TPOT ≤ %v ms; rate in %s",
		r.Instances, r.Profile, r.Gateways, plural(r.Gateways), r.ScrapeMS, r.Seed, r.SLO.TTFTMS/1000, r.SLO.ITLMS, r.Unit)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// arrivals says for how long requests came at each rate.
func (r *Report) arrivals() string {
	if len(r.Rows) == 0 {
		return ""
	}
	var each, spans []string
	for i := range r.Rows {
		if rate := r.Rows[i].Rate; i == 0 || rate != r.Rows[i-1].Rate {
			spans = append(spans, r.span(rate))
			each = append(each, spans[len(spans)-1]+" at "+rateText(rate))
		}
	}
	said := strings.Join(each, ", ")
	switch {
	case len(each) == 1:
		said = spans[0]
	case len(slices.Compact(spans)) == 1:
		said = spans[0] + " at each rate"
	}
	return "Requests come for about " + said + ", in virtual time."
}

// span is how long requests came at a rate, in two digits: chance moves the
// first arrival and the last. In a closed loop policies differ.
func (r *Report) span(rate float64) string {
	var all []float64
	for i := range r.Rows {
		if r.Rows[i].Rate == rate {
			all = append(all, r.Rows[i].ArrivalsS)
		}
	}
	low, high := twoDigits(slices.Min(all)), twoDigits(slices.Max(all))
	if low == high {
		return low + " s"
	}
	return low + " to " + high + " s"
}

func rateText(rate float64) string { return strconv.FormatFloat(rate, 'g', -1, 64) }

func twoDigits(v float64) string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 2, 64), 64) // what was formatted parses
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// fairness says what each of several clients got; nothing where they are not
// told apart.
func (r *Report) fairness() []string {
	var lines []string
	for i := range r.Rows {
		row := &r.Rows[i]
		if len(row.Service) == 0 {
			continue
		}
		if lines == nil {
			lines = append(lines, "What clients got, in token costs: 1 for a token of a prompt, 2 for one of an answer. Clients are numbered as the title names them.")
		}
		text := fmt.Sprintf("rate %s, %s:", rateText(row.Rate), row.Policy)
		for _, s := range row.Service {
			text += fmt.Sprintf(" client %d %.0f,", s.Key+1, s.Tokens)
		}
		lines = append(lines, text+fmt.Sprintf(" at most %.0f apart while two of them wait", row.Unserved))
	}
	return lines
}

// column is one of the table's.
type column struct {
	group string // a neighbour's heading says it for both
	name  string
	turn  int // to be left out where there is no room, from 1; 0: never
	cell  func(*Row) string
}

func (c column) title() string { return strings.TrimSpace(c.group + " " + c.name) }

// columns are all that there are. What 80 columns have no room for goes first;
// goodput says what good does.
var columns = []column{
	{"", "rate", 0, func(r *Row) string { return rateText(r.Rate) }},
	{"", "policy", 0, func(r *Row) string { return r.Policy }},
	{"", "requests", 4, func(r *Row) string { return strconv.Itoa(r.Requests) }},
	{"", "goodput/s", 0, func(r *Row) string { return measured(r.Requests, fmt.Sprintf("%.2f", r.GoodputRPS)) }},
	{"", "good", 8, func(r *Row) string { return measured(r.Requests, percent(r.GoodShare())) }},
	{"TTFT", "p50", 10, func(r *Row) string { return measured(r.Completed, seconds(r.TTFT.P50)) }},
	{"TTFT", "p90", 6, func(r *Row) string { return measured(r.Completed, seconds(r.TTFT.P90)) }},
	{"TTFT", "p99", 0, func(r *Row) string { return measured(r.Completed, seconds(r.TTFT.P99)) }},
	{"TPOT", "p50", 5, func(r *Row) string { return measured(r.Completed, millis(r.TPOT.P50)) }},
	{"TPOT", "p99", 11, func(r *Row) string { return measured(r.Completed, millis(r.TPOT.P99)) }},
	{"", "out tok/s", 3, func(r *Row) string { return measured(r.Completed, fmt.Sprintf("%.0f", r.OutputTokensPerS)) }},
	{"", "prefix hit", 7, func(r *Row) string { return measured(r.Completed, percent(r.PrefixHitRate)) }},
	{"", "imbalance", 2, func(r *Row) string { return measured(r.Requests, fmt.Sprintf("%.2f", r.Imbalance)) }},
	{"", "idle, held", 1, func(r *Row) string { return measured(r.Requests, percent(r.Starved)) }},
	{"", "rejected", 9, func(r *Row) string { return strconv.Itoa(r.Rejected + r.Failed) }},
}

// Meaning is what a heading of the table stands for.
type Meaning struct{ Column, Text string }

// Meanings are of those that do not say it themselves.
var Meanings = []Meaning{
	{"good", "share of requests that kept to both times above the table"},
	{"goodput/s", "how many requests did, a second"},
	{"prefix hit", "share of the prompts' tokens that engines had in cache"},
	{"imbalance", "time the busiest instance computed, over the mean; 1: even"},
	{"idle, held", "share of time instances were idle while requests were held"},
	{"rejected", "requests that a gateway refused, or that an engine lost"},
}

// headings name a group once where its columns are neighbours.
func headings(shown []column) []string {
	var names []string
	for i, c := range shown {
		if i > 0 && c.group != "" && c.group == shown[i-1].group {
			names = append(names, c.name)
		} else {
			names = append(names, c.title())
		}
	}
	return names
}

// cells is the row for people.
func (r *Row) cells(shown []column) []string {
	var cells []string
	for _, c := range shown {
		cells = append(cells, c.cell(r))
	}
	return cells
}

// measured is a figure of so many requests: of none there is none.
func measured(requests int, figure string) string {
	if requests == 0 {
		return "-"
	}
	return figure
}

func millis(ms float64) string { return fmt.Sprintf("%.1f ms", ms) }

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// seconds writes milliseconds with three digits.
func seconds(ms float64) string {
	switch {
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.2f s", ms/1000)
	}
	return fmt.Sprintf("%.0f s", ms/1000)
}

// bests says which rows have the most goodput of their rate.
func (r *Report) bests() map[int]bool {
	most := make(map[float64]float64)
	for i := range r.Rows {
		most[r.Rows[i].Rate] = max(most[r.Rows[i].Rate], r.Rows[i].GoodputRPS)
	}
	found := make(map[int]bool)
	for i := range r.Rows {
		if v := most[r.Rows[i].Rate]; v > 0 && r.Rows[i].GoodputRPS >= v {
			found[i] = true
		}
	}
	return found
}
