package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"penstock/scheduler/record"
)

// usualDecisions and mostDecisions bound an answer.
const (
	usualDecisions = 100
	mostDecisions  = 1000
)

// decided is the latest decisions, the newest first, and how far they go back.
type decided struct {
	Decisions []record.Decision `json:"decisions"`
	Kept      int               `json:"kept"`
	Oldest    *time.Time        `json:"oldest"` // null: there was none yet
}

func (s *Server) decisions(w http.ResponseWriter, r *http.Request) {
	q, err := readDecisions(r.URL.Query())
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	d := decided{Decisions: []record.Decision{}}
	if ring := s.Decisions; ring != nil {
		if q.id != "" {
			d.Decisions = append(d.Decisions, ring.Of(q.id)...)
		} else {
			d.Decisions = append(d.Decisions, ring.Last(q.n)...)
		}
		d.Decisions = d.Decisions[:min(len(d.Decisions), q.n)]
		if n, oldest := ring.Reach(); n > 0 && !oldest.IsZero() {
			oldest = oldest.UTC()
			d.Kept, d.Oldest = n, &oldest
		}
	}
	for n := range d.Decisions {
		c := d.Decisions[n].Candidates
		bestFirst(c)
		d.Decisions[n].Candidates = c[:min(len(c), q.candidates)]
	}
	answer(w, http.StatusOK, d)
}

// bestFirst sorts by cost, whom nothing was predicted of last.
func bestFirst(c []record.Candidate) {
	slices.SortStableFunc(c, func(a, b record.Candidate) int {
		if (a.Cost == 0) != (b.Cost == 0) {
			return cmp.Compare(b.Cost, a.Cost)
		}
		return cmp.Compare(a.Cost, b.Cost)
	})
}

// decisionsQuery is which decisions are wanted.
type decisionsQuery struct {
	n, candidates int
	id            string
}

func readDecisions(v url.Values) (q decisionsQuery, err error) {
	q = decisionsQuery{n: usualDecisions, candidates: record.MostCandidates, id: v.Get("request_id")}
	if v.Has("request_id") && q.id == "" {
		return q, fmt.Errorf("request_id: need the id, as X-Request-Id of the answer has it")
	}
	for _, p := range []struct {
		name      string
		to        *int
		low, high int
	}{{"n", &q.n, 1, mostDecisions}, {"candidates", &q.candidates, 0, record.MostCandidates}} {
		if !v.Has(p.name) {
			continue
		}
		if *p.to, err = strconv.Atoi(v.Get(p.name)); err != nil || *p.to < p.low || *p.to > p.high {
			return q, fmt.Errorf("%s: %.40q is out of range: %d to %d", p.name, v.Get(p.name), p.low, p.high)
		}
	}
	return q, nil
}
