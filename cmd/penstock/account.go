package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"penstock/scheduler/record"
)

func verdict(d *record.Decision) string {
	if d.Try > 1 {
		return fmt.Sprintf("%s (try %d)", d.Verdict, d.Try)
	}
	return d.Verdict
}

func seen(d *record.Decision) string {
	switch {
	case d.Socket != nil && d.Socket.Code == 0:
		return "WebSocket"
	case d.Socket != nil:
		return fmt.Sprintf("WebSocket %d", d.Socket.Code)
	case d.Unanswered:
		return "no token"
	}
	return span(d.Actual)
}

// another says whether d is of another request than what was decided before it.
// Of one request, tries are counted up, and one is decided twice only where it
// was held.
func another(before, d *record.Decision) bool {
	if d.Model != before.Model || d.Key != before.Key || d.Prompt != before.Prompt || d.PromptHash != before.PromptHash {
		return true
	}
	held := before.Verdict == record.Full && d.Verdict != record.Full
	return d.Try < before.Try || d.Try == before.Try && !held
}

func asked(d *record.Decision) string {
	return fmt.Sprintf("model %s, %d prompt tokens, %s; %s", modelOf(d), d.Prompt, wanted(d), whose(d))
}

func modelOf(d *record.Decision) string {
	if d.Model == "" {
		return "any"
	}
	return fmt.Sprintf("%q", d.Model)
}

func wanted(d *record.Decision) string {
	text := fmt.Sprintf("about %d more expected", d.Expected)
	if d.Max >= 0 {
		text = fmt.Sprintf("at most %d more, about %d expected", d.Max, d.Expected)
	}
	if !d.Stream {
		text += ", in one piece"
	}
	return text
}

func whose(d *record.Decision) string {
	text := "no key"
	if d.Key != "" {
		text = "key " + d.Key
	}
	if d.Priority != 0 {
		text += fmt.Sprintf(", priority %d", d.Priority)
	}
	if d.Session != 0 {
		text += ", of a session"
	}
	return text
}

func became(d *record.Decision) string {
	switch d.Verdict {
	case record.Picked:
		return fmt.Sprintf("%s got it (%s: %s)", d.Instance, d.Policy, d.Reason)
	case record.Full:
		return fmt.Sprintf("held: it is better than to give it away now; %s would be the choice (%s: %s)", d.Instance, d.Policy, d.Reason)
	case record.NoInstance:
		return "no instance that could have it was alive"
	case record.NoModel:
		return "no instance serves the model"
	case record.Hopeless:
		return fmt.Sprintf("refused: the first token would have come after %s at the soonest, which is too late for slo.ttft", span(d.TTFT))
	}
	return d.Verdict
}

// without says what the policy had to do without.
func without(d *record.Decision) string {
	switch d.Degraded {
	case "", "none":
		return ""
	case "prediction":
		return "Predictions were bad, so the fewest tokens counted in their place."
	}
	return fmt.Sprintf("It was decided without %s of %s, which is not believed.", strings.ReplaceAll(d.Degraded, ",", ", "), d.Instance)
}

// outcome compares what was predicted with what came.
func outcome(d *record.Decision) string {
	if d.Verdict != record.Picked {
		return ""
	}
	predicted := fmt.Sprintf("The first token was predicted after %s", span(d.TTFT))
	if d.TTFT == 0 {
		predicted = "Nothing was predicted"
	}
	switch {
	case d.Unanswered:
		return predicted + "; none came: the try failed, the engine answered with an error, or the client left."
	case d.Actual == 0:
		return predicted + "; it has not come yet."
	case !d.Stream:
		return fmt.Sprintf("%s; the answer came in one piece after %s.", predicted, span(d.Actual))
	case d.TTFT == 0:
		return fmt.Sprintf("%s; the first token came after %s.", predicted, span(d.Actual))
	}
	return fmt.Sprintf("%s, and came after %s (%s).", predicted, span(d.Actual), apart(d.Actual/d.TTFT))
}

func apart(ratio float32) string {
	switch percent := (ratio - 1) * 100; {
	case percent > -1 && percent < 1:
		return "as predicted"
	case percent > 0:
		return fmt.Sprintf("%.0f %% later", percent)
	default:
		return fmt.Sprintf("%.0f %% sooner", -percent)
	}
}

// beside compares the choice with the best of the others. The candidates are
// sorted.
func beside(d *record.Decision) string {
	chosen := d.Chosen()
	if d.Verdict != record.Picked || chosen < 0 || len(d.Candidates) < 2 || !d.Predicted() {
		return ""
	}
	if mine, best := &d.Candidates[chosen], &d.Candidates[0]; chosen > 0 && mine.Cost > best.Cost {
		return fmt.Sprintf("%s would have cost %s less, by the predictions.", best.Instance, span(mine.Cost-best.Cost))
	}
	other := &d.Candidates[1]
	if chosen == 1 {
		other = &d.Candidates[0]
	}
	return fmt.Sprintf("The next best, %s, would have cost %s more.", other.Instance, cmp.Or(strings.TrimPrefix(span(other.Cost-d.Candidates[chosen].Cost), "-"), "nothing"))
}

// leftOut says who could not be chosen, as far as that is known.
func leftOut(d *record.Decision) string {
	var parts []string
	if d.Try > 1 {
		parts = append(parts, fmt.Sprintf("%d that had it before", d.Try-1))
	}
	if d.Full > 0 {
		parts = append(parts, fmt.Sprintf("%d that took nothing more", d.Full))
	}
	if d.Spare > 0 {
		parts = append(parts, fmt.Sprintf("%d starting, suspect or returning", d.Spare))
	}
	if parts == nil {
		return ""
	}
	return "Not considered: " + strings.Join(parts, ", ") + "."
}

func believed(c *record.Candidate, signal int, format string, v any) string {
	if c.Ages[signal] < 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

// heard is how old the engine's words were.
func heard(c *record.Candidate) string {
	oldest := int32(-1)
	for _, age := range c.Ages[:3] {
		oldest = max(oldest, age)
	}
	if oldest < 0 {
		return "-"
	}
	return fmt.Sprintf("%d ms", oldest)
}

func clock(t time.Time) string { return t.Local().Format("15:04:05.000") }

// span is a time in ms for people; - where there is none.
func span(ms float32) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f s", ms/1e3)
}
