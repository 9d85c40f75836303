package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"penstock/scheduler/record"
)

// candidates shows who was considered, the cheapest first.
func (t *teller) candidates(d *record.Decision) {
	rows := [][]string{slices.Clone(candidateHeads)}
	for n := range d.Candidates {
		rows = append(rows, candidateRow(d, &d.Candidates[n]))
	}
	gap := 2
	if t.width > 0 && lineOf(rows, gap) > t.width {
		gap = 1
		rows[0][2] = "first"
		for _, row := range rows[1:] { // the legend has the unit
			for _, n := range []int{2, 3, 4, 12} {
				row[n] = strings.TrimSuffix(row[n], " ms")
			}
		}
		t.thin(rows, gap)
	}
	t.table(rows, gap, true)
	if rest := int(d.Considered) - len(d.Candidates); rest > 0 {
		t.para(2, 0, fmt.Sprintf("and %d more", rest))
	}
	t.tables++
}

// thin empties columns until what is left fits, and then shortens names.
func (t *teller) thin(rows [][]string, gap int) {
	for _, n := range candidateSpare {
		if lineOf(rows, gap) <= t.width {
			return
		}
		t.fewer = true
		empty(rows, n)
	}
	shrink(rows, 1, lineOf(rows, gap)-t.width, 4)
}

func candidateRow(d *record.Decision, c *record.Candidate) []string {
	mark, fresh := " ", "-"
	if c.Instance == d.Instance {
		mark = ">"
	}
	if c.Cost > 0 {
		fresh = fmt.Sprint(c.Fresh)
	}
	return []string{
		mark, c.Instance, span(c.TTFT), span(c.Cost), span(c.Wait), fresh, fmt.Sprint(min(c.Hits*max(d.BlockTokens, 0), d.Prompt)), fmt.Sprint(c.Ahead),
		fmt.Sprint(c.InFlight), believed(c, 0, "%d", c.Foreign), believed(c, 1, "%d", c.Waiting), believed(c, 2, "%.0f%%", c.KVUsage*100), heard(c),
	}
}

// legend explains the tables, once.
func (t *teller) legend() {
	if t.tables == 0 {
		return
	}
	first, second := "first token, cost: predicted, the second with what the others lose by it; computes, has, ahead: prompt tokens; ours, others': requests in it;",
		"queued, KV: as the engine said, so long before (-: it does not, or is not believed)"
	t.b.WriteByte('\n')
	if t.width == 0 {
		t.para(2, 0, first)
		t.para(2, 0, second)
		return
	}
	if t.fewer {
		second += "; a wider terminal shows more"
	}
	t.para(2, 0, first+" "+second+". Times without a unit are in ms.")
}

// The columns of a list.
const (
	colTime = iota
	colRequest
	colVerdict
	colInstance
	colPredicted
	colSeen
	colHeld
	colWhy
)

// list tells decisions in a line each, oldest first.
func (t *teller) list(all []record.Decision) {
	rows, degraded := [][]string{{"time", "request", "verdict", "instance", "predicted", "seen", "held", "why"}}, false
	for n := range all {
		d := &all[n]
		row := []string{clock(d.Time), d.RequestID, ruling(d), cmp.Or(d.Instance, "-"), span(d.TTFT), seen(d), span(d.Pending), cmp.Or(reasoned(d), "-")}
		if isDegraded(d) {
			row[colVerdict] = "*" + row[colVerdict]
			degraded = true
		}
		rows = append(rows, row)
	}
	gap := 2
	if t.width > 0 && lineOf(rows, gap) > t.width {
		gap = 1
		t.squeeze(rows, gap)
	}
	t.table(rows, gap, false)
	if degraded {
		t.para(0, 2, "*: degraded, decided without signals or predictions that the policy reads: penstock explain REQUEST_ID says which")
	}
}

// squeeze takes first from what is least missed.
func (t *teller) squeeze(rows [][]string, gap int) {
	over := func() int { return lineOf(rows, gap) - t.width }
	shrink(rows, colRequest, over(), 9)
	if over() > 0 {
		for _, row := range rows[1:] { // without ms
			row[colTime], _, _ = strings.Cut(row[colTime], ".")
		}
	}
	for _, c := range []struct{ column, least int }{{colWhy, 14}, {colInstance, 8}, {colWhy, 6}, {colInstance, 4}, {colVerdict, 6}} {
		shrink(rows, c.column, over(), c.least)
	}
	for _, n := range []int{colHeld, colPredicted} {
		if over() > 0 {
			empty(rows, n)
		}
	}
}

// empty takes a column out.
func empty(rows [][]string, column int) {
	for _, row := range rows {
		row[column] = ""
	}
}

// ruling is the verdict, and whether it is of a later try.
func ruling(d *record.Decision) string {
	if d.Verdict == record.Refused {
		return d.Verdict
	}
	return verdict(d)
}

func reasoned(d *record.Decision) string {
	if d.Verdict == record.Refused {
		return fmt.Sprintf("%s (%d)", d.Code, d.Status)
	}
	return why(d)
}

func isDegraded(d *record.Decision) bool { return d.Degraded != "" && d.Degraded != "none" }

// table lays rows out in columns; one that is empty takes no room.
func (t *teller) table(rows [][]string, gap int, right bool) {
	wide := widths(rows)
	for _, row := range rows {
		line := ""
		for n, cell := range row {
			pad := strings.Repeat(" ", wide[n]-utf8.RuneCountInString(cell))
			switch {
			case wide[n] == 0:
				continue
			case right:
				line += strings.Repeat(" ", gap) + pad + cell
			default:
				line += cell + pad + strings.Repeat(" ", gap)
			}
		}
		fmt.Fprintln(&t.b, strings.TrimRight(line, " "))
	}
}

func widths(rows [][]string) []int {
	wide := make([]int, len(rows[0]))
	for _, row := range rows {
		for n, cell := range row {
			wide[n] = max(wide[n], utf8.RuneCountInString(cell))
		}
	}
	return wide
}

// lineOf is how long the longest line is.
func lineOf(rows [][]string, gap int) (sum int) {
	for _, w := range widths(rows) {
		if w > 0 {
			sum += w + gap
		}
	}
	return sum
}

// shrink makes a column narrower, by as much as is over, to so many characters at
// least.
func shrink(rows [][]string, column, over, least int) {
	if over <= 0 {
		return
	}
	most := max(widths(rows)[column]-over, least)
	for _, row := range rows {
		row[column] = short(row[column], most)
	}
}

// long is a time that people waited for.
func long(ms float32) string {
	if ms < 1000 {
		return span(ms)
	}
	return fmt.Sprintf("%.1f s", ms/1e3)
}
