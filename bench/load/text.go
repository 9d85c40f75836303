package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("model", "%s", plain(r.Model))
	line("requests", "%d in %.1f s, %.1f/s", r.Requests, r.DurationS, r.RequestRate)
	line("completed", "%d (%s)", r.Completed, share(r.Completed, r.Requests))
	line("rejected", "%d (%s)", r.Rejected, share(r.Rejected, r.Requests))
	for _, code := range slices.Sorted(maps.Keys(r.Codes)) {
		line("", "%-13s %6d  %s", code, r.Codes[code], r.Messages["rejected "+code])
	}
	line("errors", "%d (%s)", r.failed(), share(r.failed(), r.Requests))
	for _, class := range slices.Sorted(maps.Keys(r.Errors)) {
		line("", "%-12s %7d  %s", class, r.Errors[class], r.Messages[class])
	}
	line("goodput", "%.1f/s: %d requests with %s", r.GoodputRPS, r.Good, r.objectives())
	line("tokens", "%d in, %d out, %.1f/s out", r.InputTokens, r.OutputTokens, r.OutputTokensPerS)
	if r.PrefixHitRate != nil {
		line("prefix", "%.1f %% of prompt tokens were cached", 100**r.PrefixHitRate)
	}
	if r.Warm > 0 {
		line("warm-up", "%d requests came before, and do not count", r.Warm)
	}
	if l := r.Lateness; l != nil {
		line("lateness", "of the generator itself: p50 %.2f ms, p99 %.2f ms, at most %.2f ms", l.P50, l.P99, l.Max)
	}
	if r.Late > 0 {
		line("late", "%d requests waited for one in flight to end: raise --max-in-flight", r.Late)
	}
	if r.Cut > 0 {
		line("cut", "%d requests were under way at the end and do not count", r.Cut)
	}
	fmt.Fprintf(&b, "\n%-6s %10s %10s %10s %10s %10s %10s %10s\n", "ms", "mean", "min", "p50", "p90", "p95", "p99", "max")
	for _, row := range []struct {
		name string
		l    Latency
	}{{"TTFT", r.TTFT}, {"TPOT", r.TPOT}, {"ITL", r.ITL}, {"E2E", r.E2E}} {
		l := row.l
		fmt.Fprintf(&b, "%-6s %10.2f %10.2f %10.2f %10.2f %10.2f %10.2f %10.2f\n", row.name, l.Mean, l.Min, l.P50, l.P90, l.P95, l.P99, l.Max)
	}
	r.writeInstances(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeInstances(b *strings.Builder) {
	if len(r.Instances) == 0 {
		return
	}
	b.WriteString("\ninstance                         requests\n")
	total := 0
	for _, n := range r.Instances {
		total += n
	}
	for _, name := range slices.Sorted(maps.Keys(r.Instances)) {
		fmt.Fprintf(b, "%-32s %8d  %s\n", name, r.Instances[name], share(r.Instances[name], total))
	}
}

// objectives says what a good request is.
func (r *Report) objectives() string {
	within := func(what string, d time.Duration) string {
		if d == 0 {
			return "any " + what
		}
		return fmt.Sprintf("%s ≤ %v", what, d)
	}
	return within("TTFT", r.SLOTTFT) + " and " + within("ITL", r.SLOITL)
}

func (r *Report) failed() int { return r.Requests - r.Completed - r.Rejected }

func share(n, of int) string {
	if of == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}
