package fleet

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"
)

// WriteText writes the report as a table for people.
func (r *Report) WriteText(w io.Writer) error {
	paint := lipgloss.NewRenderer(w)
	cell := paint.NewStyle().Padding(0, 1)
	right, head, best := cell.Align(lipgloss.Right), cell.Bold(true), cell.Align(lipgloss.Right).Bold(true).Foreground(lipgloss.Color("10"))
	t := table.New().Border(lipgloss.NormalBorder()).BorderStyle(paint.NewStyle().Faint(true)).Headers(columns...)
	bests := r.bests()
	t.StyleFunc(func(row, col int) lipgloss.Style {
		switch {
		case row == table.HeaderRow:
			return head
		case col == 3 && bests[row]:
			return best
		case col == 1:
			return cell
		}
		return right
	})
	for i := range r.Rows {
		t.Row(r.Rows[i].cells(i > 0 && r.Rows[i-1].Rate == r.Rows[i].Rate)...)
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n%s\n%s", paint.NewStyle().Bold(true).Render(r.title()), r.subtitle(), t.Render(), r.fairness())
	return err
}

// fairness says what each of several clients got; nothing where they are not
// told apart.
func (r *Report) fairness() string {
	var b strings.Builder
	for i := range r.Rows {
		row := &r.Rows[i]
		if len(row.Service) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%v, %s: service differs by %.0f at most while two clients wait; in all", row.Rate, row.Policy, row.Unserved)
		for _, s := range row.Service {
			fmt.Fprintf(&b, " %.0f", s.Tokens)
		}
		b.WriteByte('\n')
	}
	return b.String()
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

var columns = []string{
	"rate", "policy", "requests", "goodput/s", "good", "TTFT p50", "p90", "p99", "TPOT p50", "p99", "out tok/s", "prefix hit", "imbalance", "idle, held", "rejected",
}

// cells is the row for people; same: the rate is that of the row before.
func (r *Row) cells(same bool) []string {
	rate := strconv.FormatFloat(r.Rate, 'g', -1, 64)
	if same {
		rate = ""
	}
	return []string{
		rate, r.Policy, strconv.Itoa(r.Requests), fmt.Sprintf("%.2f", r.GoodputRPS), percent(r.GoodShare()),
		seconds(r.TTFT.P50), seconds(r.TTFT.P90), seconds(r.TTFT.P99), fmt.Sprintf("%.1f ms", r.TPOT.P50), fmt.Sprintf("%.1f ms", r.TPOT.P99),
		fmt.Sprintf("%.0f", r.OutputTokensPerS), percent(r.PrefixHitRate), fmt.Sprintf("%.2f", r.Imbalance), percent(r.Starved), strconv.Itoa(r.Rejected + r.Failed),
	}
}

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
