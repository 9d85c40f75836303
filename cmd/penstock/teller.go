package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"penstock/scheduler/record"
)

// teller tells decisions to people.
type teller struct {
	b      strings.Builder
	width  int // of the lines; 0: it does not matter
	now    time.Time
	tables int  // so far
	fewer  bool // some have not all of their columns
}

// para writes a paragraph whose further lines are indented by more.
func (t *teller) para(indent, more int, text string) {
	pad := strings.Repeat(" ", indent)
	line := pad
	for n, word := range strings.Fields(text) {
		switch {
		case n == 0:
			line += word
		case t.width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > t.width:
			fmt.Fprintln(&t.b, line)
			line = pad + strings.Repeat(" ", more) + word
		default:
			line += " " + word
		}
	}
	fmt.Fprintln(&t.b, line)
}

// fit shortens a name that would take a line for itself.
func (t *teller) fit(name string) string {
	if t.width == 0 {
		return name
	}
	return short(name, max(t.width/2, 8))
}

// short is s in so many characters at most.
func short(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}

// request tells the decisions of one request, oldest first; and of others, whose
// clients gave them the same id.
func (t *teller) request(all []record.Decision) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && !begins(&all[n-1], &all[n]) {
			n++
		}
		text := "another request with the same id: "
		if t.b.Len() == 0 {
			text = "request " + t.fit(all[0].RequestID) + ": "
		} else {
			t.b.WriteByte('\n')
		}
		t.para(0, 2, text+askedOf(all[:n]))
		for i := range all[:n] {
			t.b.WriteByte('\n')
			t.decision(&all[i], all[i+1:n])
		}
		all = all[n:]
	}
	t.legend()
}

// begins says whether d is of another request than what was recorded before it. A
// refusal is a request's last; it comes after whatever had no answer.
func begins(before, d *record.Decision) bool {
	switch {
	case before.Verdict == record.Refused:
		return true
	case d.Verdict != record.Refused:
		return another(before, d)
	}
	after := *d
	after.Try++
	return another(before, &after) || before.Verdict == record.Picked && !before.Unanswered && before.Socket == nil
}

// askedOf is what was asked for. With a refusal alone, nothing was foretold.
func askedOf(all []record.Decision) string {
	d := &all[0]
	switch {
	case slices.ContainsFunc(all, func(d record.Decision) bool { return d.Socket != nil }):
		return fmt.Sprintf("a WebSocket that passes through, model %s; %s", modelOf(d), whose(d))
	case d.Verdict != record.Refused:
		return asked(d)
	case d.Max >= 0:
		return fmt.Sprintf("model %s, %d prompt tokens, at most %d more; %s", modelOf(d), d.Prompt, d.Max, whose(d))
	}
	return fmt.Sprintf("model %s, %d prompt tokens; %s", modelOf(d), d.Prompt, whose(d))
}

// decision tells one; later are those of the same request that came after it.
func (t *teller) decision(d *record.Decision, later []record.Decision) {
	try := fmt.Sprintf(", try %d", d.Try)
	if d.Verdict == record.Refused {
		try = ""
	}
	t.para(0, 4, fmt.Sprintf("%s (%v ago)%s: %s", clock(d.Time), t.now.Sub(d.Time).Round(time.Second), try, t.became(d)))
	if d.Verdict == record.Refused { // the rest is of decisions
		return
	}
	held := ""
	if d.Pending > 0 && d.Verdict != record.Hopeless {
		held = fmt.Sprintf("It had been held for %s.", span(d.Pending))
	}
	for _, text := range []string{held, without(d), t.ending(d, later), compared(d), leftOut(d)} {
		if text != "" {
			t.para(2, 0, text)
		}
	}
	if len(d.Candidates) > 0 {
		t.b.WriteByte('\n')
		t.candidates(d)
	}
}

// became says what was decided.
func (t *teller) became(d *record.Decision) string {
	switch d.Verdict {
	case record.Picked:
		return fmt.Sprintf("%s got it (%s: %s)", t.fit(d.Instance), d.Policy, why(d))
	case record.Full:
		return t.held(d)
	case record.Hopeless:
		if d.Pending > 0 {
			return fmt.Sprintf("refused: %s held + %s to the first token = %s, above slo.ttft", span(d.Pending), span(d.TTFT), span(d.Pending+d.TTFT))
		}
		return fmt.Sprintf("refused: %s to the first token at the soonest, above slo.ttft", span(d.TTFT))
	case record.Refused:
		if d.Pending > 0 {
			return fmt.Sprintf("refused after %s in line: %s (%d)", long(d.Pending), d.Code, d.Status)
		}
		return fmt.Sprintf("refused: %s (%d)", d.Code, d.Status)
	}
	return became(d)
}

// held says why nobody got it yet.
func (t *teller) held(d *record.Decision) string {
	if d.Unheld {
		return "no place now, and nothing may be held (queue.max_size 0)"
	}
	name := t.fit(d.Instance)
	choice := fmt.Sprintf("(%s: %s)", d.Policy, why(d))
	switch {
	case name == "":
		return "held: no place now"
	case len(d.Candidates) > 0 && !slices.ContainsFunc(d.Candidates, func(c record.Candidate) bool { return !c.Full }):
		return fmt.Sprintf("held: no place now; %s would be the choice %s", name, choice)
	}
	return fmt.Sprintf("held: waiting for %s costs less than going elsewhere now %s", name, choice)
}

// why is the policy's reason, unless it had none.
func why(d *record.Decision) string {
	if isEven(d) {
		return "equal: by chance"
	}
	return d.Reason
}

// isEven says whether the policy went by what the candidates cost, and they cost
// the same.
func isEven(d *record.Decision) bool {
	all := d.Candidates
	if d.Policy != "predictive" || d.Degraded == "prediction" || len(all) < 2 || int(d.Considered) > len(all) || !d.Predicted() {
		return false
	}
	return !slices.ContainsFunc(all, func(c record.Candidate) bool { return c.Cost != all[0].Cost })
}

// ending compares what was predicted with what came. A try that failed is
// followed by another, or by the refusal.
func (t *teller) ending(d *record.Decision, later []record.Decision) string {
	switch {
	case d.Socket != nil:
		return t.socket(d, later)
	case d.Verdict != record.Picked || !d.Unanswered:
		return outcome(d)
	}
	said := "Nothing was predicted"
	if d.TTFT > 0 {
		said = "The first token was predicted after " + span(d.TTFT)
	}
	switch {
	case len(later) == 0:
		return said + "; none came: the engine answered with an error, or the client left."
	case later[0].Verdict == record.Refused && later[0].Try == d.Try:
		return said + "; none came: the router gave it up."
	}
	return said + "; none came: the try failed."
}

// socket says what became of a WebSocket that passes through.
func (t *teller) socket(d *record.Decision, later []record.Decision) string {
	s := d.Socket
	opened := fmt.Sprintf("The WebSocket was opened after %s", span(s.Opened))
	switch {
	case len(later) > 0:
		return opened + ", and the instance was lost before it had said anything."
	case s.Code == 0:
		at := d.Time.Add(time.Duration(float64(s.Opened) * float64(time.Millisecond)))
		return fmt.Sprintf("%s, and is open, for %v so far.", opened, max(t.now.Sub(at), 0).Round(time.Second))
	}
	end := fmt.Sprintf("with the close code %d", s.Code)
	switch {
	case s.Own:
		end += ", the router's own"
	case s.Code == 1006:
		end = "without a close (1006)"
	}
	return fmt.Sprintf("%s, and was open for %s; %s from the client and %d to it had passed. It ended %s.", opened, lasted(s.Open), messages(s.In), s.Out, end)
}

func messages(n int64) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// lasted is a time that may be of days.
func lasted(ms float32) string {
	if ms < 60_000 {
		return long(ms)
	}
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}

// compared sets the choice beside the best of the others, who are sorted by cost.
func compared(d *record.Decision) string {
	chosen := d.Chosen()
	if isEven(d) || d.Verdict != record.Picked || chosen < 0 || len(d.Candidates) < 2 || !d.Predicted() {
		return ""
	}
	other := &d.Candidates[1-min(chosen, 1)]
	if apart := other.Cost - d.Candidates[chosen].Cost; apart > -0.05 && apart < 0.05 {
		return fmt.Sprintf("The next best, %s, would have cost as much.", other.Instance)
	}
	return beside(d)
}

// The columns of candidates, and in which order a narrow terminal goes without.
var (
	candidateHeads = []string{"", "instance", "first token", "cost", "waits", "computes", "has", "ahead", "ours", "others'", "queued", "KV", "as of"}
	candidateSpare = []int{12, 4, 6, 11, 9, 10, 7, 5, 8}
)
