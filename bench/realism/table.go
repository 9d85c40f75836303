package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/lipgloss/table"

	"penstock/bench/model"
)

// row is a load: what was measured, and what was foretold.
type row struct {
	load           string
	measured, told summary
	others         float64
}

// summary is what is compared.
type summary struct {
	requests, prompt, cached int
	ttft50, ttft90           time.Duration
	tpot50, tpot90           time.Duration
	late                     time.Duration // of the client, p99
}

func newRow(m *outcome, told []seen) row {
	return row{m.Load, summarize(m.Measured), summarize(told), m.Others}
}

func summarize(all []seen) summary {
	s := summary{requests: len(all)}
	var ttft, tpot, late []time.Duration
	for _, x := range all {
		s.prompt, s.cached = s.prompt+x.Prompt, s.cached+x.Cached
		ttft, late = append(ttft, x.TTFT), append(late, x.Late)
		if x.Output > 1 {
			tpot = append(tpot, x.TPOT)
		}
	}
	s.ttft50, s.ttft90 = quantile(ttft, 0.5), quantile(ttft, 0.9)
	s.tpot50, s.tpot90 = quantile(tpot, 0.5), quantile(tpot, 0.9)
	s.late = quantile(late, 0.99)
	return s
}

// quantile sorts d.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)]
}

// tooBusy is a share of the machine that others take, from which on it is they
// who are measured.
const tooBusy = 0.05

var columns = []string{
	"load", "requests", "TTFT p50", "model", "error", "p90", "model", "error", "TPOT p50", "model", "error", "p90", "model", "error", "cached", "model", "late p99", "others",
}

func (r *row) cells() []string {
	m, t := &r.measured, &r.told
	cells := []string{r.load, fmt.Sprint(m.requests)}
	for _, pair := range [][2]time.Duration{{m.ttft50, t.ttft50}, {m.ttft90, t.ttft90}, {m.tpot50, t.tpot50}, {m.tpot90, t.tpot90}} {
		cells = append(cells, millis(pair[0]), millis(pair[1]), fmt.Sprintf("%+.0f %%", 100*(float64(pair[1])/float64(pair[0])-1)))
	}
	share := func(s *summary) string {
		return fmt.Sprintf("%.1f %%", 100*float64(s.cached)/float64(max(s.prompt, 1)))
	}
	doubt := ""
	if r.others > tooBusy {
		doubt = " !"
	}
	return append(cells, share(m), share(t), millis(m.late), fmt.Sprintf("%.0f %%%s", 100*r.others, doubt))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1e3) }

func print(to io.Writer, p *model.Profile, rows []row) error {
	t := newTable(columns)
	for n := range rows {
		t.Row(rows[n].cells()...)
	}
	text := "vLLM on the CPU; the model's constants are fitted to the first load; others: what other programs took of the machine (!: measure again)\n"
	for _, c := range constants(p) {
		text += fmt.Sprintf("  %-16s %v\n", c.name, *c.value)
	}
	_, err := fmt.Fprintf(to, "%s%s\n", text, t.Render())
	return err
}

func newTable(columns []string) *table.Table {
	cell := lipgloss.NewStyle().Padding(0, 1)
	return table.New().Border(lipgloss.NormalBorder()).Headers(columns...).StyleFunc(func(line, col int) lipgloss.Style {
		if line == table.HeaderRow || col == 0 {
			return cell
		}
		return cell.Align(lipgloss.Right)
	})
}

// printIndex tells of first turns, of which others have asked the system prompt,
// and of those that go on.
func printIndex(to io.Writer, guesses []guess) error {
	t := newTable([]string{"turns", "requests", "prompt tokens", "estimated", "cached", "in the index", "reckoned with", "mean error", "of shares", "within 10 %"})
	for _, part := range []struct {
		name string
		is   func(*guess) bool
	}{
		{"first", func(g *guess) bool { return g.number == 0 }},
		{"later", func(g *guess) bool { return g.number > 0 }},
		{"all", func(*guess) bool { return true }},
	} {
		var some []guess
		for n := range guesses {
			if part.is(&guesses[n]) {
				some = append(some, guesses[n])
			}
		}
		p := precisionOf(some)
		of := func(tokens, all int) string { return fmt.Sprintf("%.1f %%", 100*float64(tokens)/float64(max(all, 1))) }
		signed := func(v float64) string { return fmt.Sprintf("%+.1f %%", 100*v) }
		t.Row(part.name, fmt.Sprint(p.requests), fmt.Sprint(p.prompt), fmt.Sprint(p.guessed), of(p.cached, p.prompt), of(p.indexed, p.guessed), of(p.taken, p.guessed),
			signed(p.bias), signed(p.skew), fmt.Sprintf("%.1f %%", 100*p.within))
	}
	_, err := fmt.Fprintf(to, "The router before two vLLM: what it takes for cached at the decision, beside usage.prompt_tokens_details.cached_tokens.\nError: tokens that the index has too many, as a share of the prompt; of shares: without what the prompt's length is taken wrong.\n%s\n", t.Render())
	return err
}
