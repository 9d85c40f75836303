package main

import (
	"fmt"
	"io"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"

	"penstock/bench/fleet"
	"penstock/bench/load"
	"penstock/bench/workload"
)

// row is one policy: what was measured, and what was foretold.
type row struct {
	policy   string
	measured load.Report
	foretold fleet.Row
}

var columns = []string{"policy", "goodput/s", "fleet", "TTFT p50", "fleet", "p99", "fleet", "prefix hit", "fleet", "rejected", "fleet", "failed", "late p99"}

// tooLate is a lateness of the generator, in the engines' time, that makes a
// measurement one of this machine rather than of the policy.
const tooLate = 250 // ms

func (r *row) cells() []string {
	m, f := &r.measured, &r.foretold
	hit, late, doubt := 0.0, 0.0, ""
	if m.PrefixHitRate != nil {
		hit = *m.PrefixHitRate
	}
	if m.Lateness != nil {
		late = m.Lateness.P99
	}
	if late > tooLate {
		doubt = " !"
	}
	rate := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	share := func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
	seconds := func(ms float64) string { return fmt.Sprintf("%.2f s", ms/1000) }
	count := func(n int) string { return fmt.Sprint(n) }
	return []string{
		r.policy, rate(m.GoodputRPS), rate(f.GoodputRPS), seconds(m.TTFT.P50), seconds(f.TTFT.P50), seconds(m.TTFT.P99), seconds(f.TTFT.P99),
		share(hit), share(f.PrefixHitRate), count(m.Rejected), count(f.Rejected), count(m.Requests - m.Completed - m.Rejected), fmt.Sprintf("%.0f ms%s", late, doubt),
	}
}

func (s *setting) print(to io.Writer, w *workload.Workload, rows []row) error {
	cell := lipgloss.NewStyle().Padding(0, 1)
	t := table.New().Border(lipgloss.NormalBorder()).Headers(columns...).StyleFunc(func(line, col int) lipgloss.Style {
		if line == table.HeaderRow || col == 0 {
			return cell
		}
		return cell.Align(lipgloss.Right)
	})
	for i := range rows {
		t.Row(rows[i].cells()...)
	}
	_, err := fmt.Fprintf(to, "%s: %s\n%d × %s, %v %s for %v, %v times as fast; good: TTFT ≤ %v, TPOT ≤ %v; beside each figure what penstock fleet foretells; !: this machine was too slow, measure again\n%s\n",
		w.Name, w.About, w.Instances, w.Profiles[0], s.rate, w.Unit, s.duration, s.scale, fleet.Objective.TTFT, fleet.Objective.ITL, t.Render())
	return err
}
