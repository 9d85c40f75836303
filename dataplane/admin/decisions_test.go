package admin

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"penstock/scheduler/record"
)

func TestDecisionsAreShownNewestFirst(t *testing.T) {
	url, s := serve(t)
	s.Decisions = record.NewRing(256, nil, false)
	if _, body := call(t, "GET", url+"/api/v1/decisions"); strings.Join(strings.Fields(body), "") != `{"decisions":[],"kept":0,"oldest":null}` {
		t.Errorf("without any: %s", body)
	}
	for n := range 150 {
		e := s.Decisions.Begin(fmt.Sprint("id-", n%10), "m", 0)
		e.Verdict, e.Instance, e.Degraded = record.Picked, "b", "none"
		*e.Add() = record.Candidate{Instance: "c"}
		*e.Add() = record.Candidate{Instance: "a", Cost: 9}
		*e.Add() = record.Candidate{Instance: "b", Cost: 5}
		s.Decisions.First(s.Decisions.Put(e), 3*time.Millisecond)
	}
	f := func(query string, n int, first uint64, candidates string) {
		t.Helper()
		_, body := call(t, "GET", url+"/api/v1/decisions"+query)
		var got decided
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Decisions) != n || got.Kept != 150 || got.Oldest == nil {
			t.Fatalf("%s: %v, %d decisions, kept %d since %v", query, err, len(got.Decisions), got.Kept, got.Oldest)
		}
		d := got.Decisions[0]
		var names string
		for _, c := range d.Candidates {
			names += c.Instance
		}
		if d.Seq != first || names != candidates || d.Actual != 3 {
			t.Errorf("%s: the first: %+v", query, d)
		}
	}
	f("", 100, 150, "bac")
	f("?n=1", 1, 150, "bac")
	f("?n=1000&candidates=0", 150, 150, "")
	f("?request_id=id-3", 15, 144, "bac")
	f("?request_id=id-3&n=2&candidates=1", 2, 144, "b")
	for query, want := range map[string]string{
		"?n=0": "n: \\\"0\\\" is out of range: 1 to 1000", "?n=1001": "1 to 1000", "?n=x": "n: ", "?n=": "n: ",
		"?candidates=65": "candidates: ", "?request_id=": "request_id: need the id",
	} {
		resp, body := call(t, "GET", url+"/api/v1/decisions"+query)
		if resp.StatusCode != 400 || resp.Header.Get("X-Penstock-Error") != "invalid_request" || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, body)
		}
	}
}
