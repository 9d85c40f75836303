package replay

import (
	"errors"
	"io"
	"math"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/record"
)

// Report is a comparison, as --json writes it.
type Report struct {
	Decisions int            `json:"decisions"`
	Verdicts  map[string]int `json:"verdicts"`
	From      time.Time      `json:"from"`
	To        time.Time      `json:"to"`
	Cut       bool           `json:"cut,omitempty"` // the file's writer ended badly
	Single    int            `json:"single"`        // given to the only one that could, which nobody would do otherwise

	Seen Seen   `json:"seen"`
	Rows []*Row `json:"rows"` // the first is what was done
}

// Seen is how first tokens came, beside how they were predicted: of streams that
// were answered.
type Seen struct {
	Requests  int     `json:"requests"`
	Predicted Times   `json:"predicted_ttft_ms"`
	Actual    Times   `json:"actual_ttft_ms"`
	Ratio     float64 `json:"error_ratio"` // the factor that predictions are usually off by

	predicted, actual times
	miss              float64 // sum of |ln(actual/predicted)|
}

// Row is one policy's.
type Row struct {
	Policy    string         `json:"policy"`
	Decisions int            `json:"decisions"`
	Skipped   int            `json:"skipped"` // without what the policy reads
	Agreed    int            `json:"agreed"`
	Held      int            `json:"held"`      // it would have waited for its choice
	Regret    Times          `json:"regret_ms"` // cost of its choice above the least
	Predicted Times          `json:"predicted_ttft_ms"`
	Instances map[string]int `json:"instances"`

	replay            *scheduler.Replay // nil: it is what was done
	regret, predicted times
}

// done is the name of the first row.
const done = "as recorded"

// Run reads a recording to its end.
func Run(from io.Reader, policies []string) (*Report, error) {
	r := &Report{Verdicts: make(map[string]int), Rows: []*Row{newRow(done)}}
	for _, name := range policies {
		row, err := newRow(name), error(nil)
		if row.replay, err = scheduler.NewReplay(name); err != nil {
			return nil, err
		}
		r.Rows = append(r.Rows, row)
	}
	in, err := record.NewReader(from)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	for {
		d, err := in.Next()
		switch {
		case err == nil:
			r.add(d)
			continue
		case errors.Is(err, record.ErrCut):
			r.Cut = true
		case !errors.Is(err, io.EOF):
			return nil, err
		}
		r.sum()
		return r, nil
	}
}

func newRow(policy string) *Row {
	return &Row{Policy: policy, Instances: make(map[string]int)}
}

func (r *Report) add(d *record.Decision) {
	r.Decisions++
	count(r.Verdicts, d.Verdict)
	if r.From.IsZero() || d.Time.Before(r.From) {
		r.From = d.Time
	}
	if d.Time.After(r.To) {
		r.To = d.Time
	}
	chosen := d.Chosen()
	if d.Verdict != record.Picked || chosen < 0 {
		return
	}
	r.Seen.add(d)
	if len(d.Candidates) == 1 {
		r.Single++
		return
	}
	r.Rows[0].add(d, chosen, chosen)
	for _, row := range r.Rows[1:] {
		c, ok := row.replay.Choose(d)
		if !ok {
			row.Skipped++
			continue
		}
		if c.Holds {
			row.Held++
		}
		row.add(d, c.Candidate, chosen)
	}
}

func (row *Row) add(d *record.Decision, choice, chosen int) {
	c := &d.Candidates[choice]
	row.Decisions++
	if choice == chosen {
		row.Agreed++
	}
	count(row.Instances, c.Instance)
	if !d.Predicted() {
		return
	}
	least := c.Cost
	for n := range d.Candidates {
		least = min(least, d.Candidates[n].Cost)
	}
	row.regret.add(float64(c.Cost - least))
	row.predicted.add(float64(c.TTFT))
}

func (s *Seen) add(d *record.Decision) {
	if !d.Stream || d.Actual <= 0 || d.TTFT <= 0 {
		return
	}
	s.Requests++
	s.predicted.add(float64(d.TTFT))
	s.actual.add(float64(d.Actual))
	s.miss += math.Abs(math.Log(float64(d.Actual) / float64(d.TTFT)))
}

func (r *Report) sum() {
	r.Seen.Predicted, r.Seen.Actual = r.Seen.predicted.sum(), r.Seen.actual.sum()
	if r.Seen.Requests > 0 {
		r.Seen.Ratio = round(math.Exp(r.Seen.miss / float64(r.Seen.Requests)))
	}
	for _, row := range r.Rows {
		row.Regret, row.Predicted = row.regret.sum(), row.predicted.sum()
	}
}

// mostNames bounds what a file can have counted.
const mostNames = 4096

func count(by map[string]int, name string) {
	if _, ok := by[name]; !ok && len(by) >= mostNames {
		name = "others"
	}
	by[name]++
}
