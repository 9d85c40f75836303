package replay

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// mostShares is how many instances a line names.
const mostShares = 8

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d decisions", r.Decisions)
	if r.Decisions > 0 {
		fmt.Fprintf(&b, " in %v from %s: %s", r.To.Sub(r.From).Round(time.Second), r.From.Local().Format("2006-01-02 15:04:05"), shares(r.Verdicts))
	}
	if r.Single > 0 {
		fmt.Fprintf(&b, "; %d had one candidate and are left out", r.Single)
	}
	b.WriteByte('\n')
	if r.Cut {
		b.WriteString("The recording was cut off: this is what there is of it.\n")
	}
	b.WriteByte('\n')
	r.table(&b)
	r.tellShares(&b)
	r.tellSeen(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) table(b *strings.Builder) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "policy\tagreed\twould hold\tregret: mean\tp90\tp99\tpredicted TTFT: p50\tp90\tp99\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t\n", row.Policy, share(row.Agreed, row.Decisions), share(row.Held, row.Decisions), row.times())
	}
	t.Flush()
	for _, row := range r.Rows {
		if row.Skipped > 0 {
			fmt.Fprintf(b, "%s: %d decisions without predictions of all candidates are left out\n", row.Policy, row.Skipped)
		}
	}
}

func (row *Row) times() string {
	if row.Regret.N == 0 {
		return "-\t-\t-\t-\t-\t-"
	}
	g, p := &row.Regret, &row.Predicted
	return fmt.Sprintf("%.1f ms\t%.1f\t%.1f\t%.0f ms\t%.0f\t%.0f", g.Mean, g.P90, g.P99, p.P50, p.P90, p.P99)
}

func (r *Report) tellShares(b *strings.Builder) {
	b.WriteString("\nwho would have got how many\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range r.Rows {
		fmt.Fprintf(t, "  %s\t%s\n", row.Policy, shares(row.Instances))
	}
	t.Flush()
}

func (r *Report) tellSeen(b *strings.Builder) {
	s := &r.Seen
	if s.Requests == 0 {
		return
	}
	fmt.Fprintf(b, "\nfirst tokens of %d streams, ms\n", s.Requests)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tmean\tp50\tp90\tp99\t")
	for _, x := range []struct {
		name string
		t    Times
	}{{"predicted", s.Predicted}, {"seen", s.Actual}} {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t\n", x.name, x.t.Mean, x.t.P50, x.t.P90, x.t.P99)
	}
	t.Flush()
	fmt.Fprintf(b, "A prediction is usually off by a factor of %.2f.\n", s.Ratio)
}

func share(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// shares names who has the most.
func shares(by map[string]int) string {
	names := make([]string, 0, len(by))
	for name := range by {
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(by[y], by[x]), cmp.Compare(x, y)) })
	var parts []string
	for _, name := range names[:min(len(names), mostShares)] {
		parts = append(parts, fmt.Sprintf("%s %d", name, by[name]))
	}
	if rest := len(names) - len(parts); rest > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", rest))
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ", ")
}
