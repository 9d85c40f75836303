package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// frame draws the picture of one moment: lines no longer than columns.
type frame struct {
	columns, rows int
	paint         *lipgloss.Renderer
	lines         []string
}

// Least that is drawn for; a smaller terminal shows a part of it.
const leastColumns = 24

func (f *frame) draw(s *show) []string {
	f.lines = f.lines[:0]
	b := s.board()
	f.title(s)
	f.engines(&b)
	f.totals(s, &b)
	look := f.look(&s.Router)
	f.story(s, f.rows-len(f.lines)-len(look)-2)
	if len(f.lines)+len(look)+1 < f.rows {
		f.put("")
	}
	for _, line := range look {
		f.put(line)
	}
	return f.lines
}

func (f *frame) put(line string) {
	f.lines = append(f.lines, f.style().MaxWidth(f.columns).Render(line))
}

func (f *frame) style() lipgloss.Style { return f.paint.NewStyle() }

func (f *frame) faint(s string) string { return f.style().Faint(true).Render(s) }

func (f *frame) color(c, s string) string { return f.style().Foreground(lipgloss.Color(c)).Render(s) }

func (f *frame) title(s *show) {
	left := f.style().Bold(true).Render(" penstock demo")
	right := clock(s.elapsed)
	if s.For > 0 {
		right += " of " + clock(s.For)
	}
	about := f.faint("  four simulated engines, a router, a load")
	if lipgloss.Width(left+about+right)+2 <= f.columns {
		left += about
	}
	gap := max(1, f.columns-lipgloss.Width(left)-lipgloss.Width(right)-1)
	f.put(left + strings.Repeat(" ", gap) + right)
	f.put("")
}

func (f *frame) engines(b *Board) {
	bar := min(max(f.columns-68, 8), 40)
	f.put(f.faint(f.row("", fmt.Sprintf(" %-7s", "engine"), fmt.Sprintf(" %-9s ", "state"), fmt.Sprintf(" %-*s", bar+5, "KV cache"),
		fmt.Sprintf(" %8s", "running"), fmt.Sprintf(" %8s", "waiting"), fmt.Sprintf(" %10s", "in flight"), fmt.Sprintf(" %9s", "requests"))))
	for _, e := range b.Engines {
		f.put(f.row("", fmt.Sprintf(" %-7s", e.Name), " "+f.state(e.State)+" ", " "+f.bar(e.KVUsage, bar),
			fmt.Sprintf(" %8d", e.Running), " "+f.waiting(e.Waiting), fmt.Sprintf(" %10d", e.InFlight), fmt.Sprintf(" %9s", count(e.Requests))))
	}
	f.put("")
}

// row joins as many parts as fit into the width, and the first in any case.
func (f *frame) row(between string, parts ...string) string {
	line := parts[0]
	for _, part := range parts[1:] {
		if lipgloss.Width(line+between+part) > f.columns {
			break
		}
		line += between + part
	}
	return line
}

func (f *frame) state(name string) string {
	text := fmt.Sprintf("%-9s", name)
	switch name {
	case "healthy":
		return f.color("2", text)
	case "starting", "suspect", "draining":
		return f.color("3", text)
	}
	return f.color("1", text)
}

func (f *frame) waiting(n int) string {
	text := fmt.Sprintf("%8d", n)
	if n > 0 {
		return f.color("3", text)
	}
	return text
}

// bar shows part of a whole, 0..1, in cells and in per cent.
func (f *frame) bar(part float64, cells int) string {
	part = min(max(part, 0), 1)
	full := int(part*float64(cells) + 0.5)
	color := "2"
	switch {
	case part >= 0.9:
		color = "1"
	case part >= 0.6:
		color = "3"
	}
	return f.color(color, strings.Repeat("█", full)) + f.faint(strings.Repeat("░", cells-full)) + fmt.Sprintf("%3.0f %%", 100*part)
}

func (f *frame) totals(s *show, b *Board) {
	o := s.traffic.read()
	held := fmt.Sprintf("%d held", b.Pending)
	if b.Pending > 0 {
		held = f.color("3", held)
	}
	f.put(f.row("   ", " "+f.style().Bold(true).Render(fmt.Sprintf("%.1f requests/s", s.perSecond(func(b *Board) uint64 { return b.Requests }))),
		fmt.Sprintf("first token p50 %s  p99 %s", seconds(b.TTFTP50), seconds(b.TTFTP99)),
		f.style().Bold(true).Render(fmt.Sprintf("%s tokens/s", count(uint64(s.perSecond(func(b *Board) uint64 { return b.OutputTokens })))))))
	f.put(f.row("   ", fmt.Sprintf(" in the router %d, %s", b.Inside, held), "tried again elsewhere "+count(b.Retries), "cut "+count(o.cut), "failed "+count(o.failed)))
	f.put("")
}

// story shows the latest events, as many as fit into rows.
func (f *frame) story(s *show, rows int) {
	f.put(f.style().Bold(true).Render(" What is going on"))
	const indent = 9
	width := min(max(f.columns, leastColumns), 110) - indent - 1
	var shown [][]string
	for i := len(s.events) - 1; i >= 0; i-- {
		e := s.events[i]
		text := strings.Split(f.style().Width(width).Render(e.sentence(s)), "\n")
		if rows -= len(text); rows < 0 && len(shown) > 0 {
			break
		}
		for n, line := range text {
			head := strings.Repeat(" ", indent)
			if n == 0 {
				head = "   " + f.faint(clock(e.at)) + " "
			}
			text[n] = head + line
		}
		shown = append(shown, text)
	}
	for i := len(shown) - 1; i >= 0; i-- {
		for _, line := range shown[i] {
			f.put(line)
		}
	}
}

// look says where to look, and what to try.
func (f *frame) look(r *Router) []string {
	lines := []string{
		f.style().Bold(true).Render(" Look for yourself") + f.faint("  (Ctrl-C ends)"),
		f.row(", ", fmt.Sprintf("   %s/ in words", r.Admin), r.Admin+"/metrics in numbers"),
	}
	curl, body := "   curl "+r.URL+"/v1/completions ", `-d '{"model":"`+Model+`","prompt":"Hello","max_tokens":20}'`
	if len(curl)+len(body) < f.columns {
		return append(lines, curl+body)
	}
	return append(lines, curl+`\`, "     "+body) // to be copied: not to be broken once more
}

// clock is d as 0:07 or 12:34.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// seconds is a latency as people say it.
func seconds(v float64) string {
	switch {
	case v <= 0:
		return "–"
	case v < 1:
		return fmt.Sprintf("%.0f ms", 1e3*v)
	}
	return fmt.Sprintf("%.1f s", v)
}

// count is n with a comma for each thousand.
func count[T ~int | ~int64 | ~uint64](n T) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
