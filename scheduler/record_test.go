package scheduler

import (
	"math"
	"slices"
	"testing"
	"time"

	"penstock/scheduler/prefix"
	"penstock/scheduler/record"
)

// recorded is a fleet whose decisions are in the ring.
func recorded(t testing.TB, n int, policy string, whole bool) (*Scheduler, *record.Ring) {
	t.Helper()
	s, ring := fleetOf(t, n, policy), record.NewRing(record.Slots, []string{"", "team-a"}, whole)
	s.Record(ring)
	for _, i := range s.Instances() {
		i.says(3, 0)
	}
	return s, ring
}

func TestADecisionLeavesItsInputs(t *testing.T) {
	s, ring := recorded(t, 3, "predictive", false)
	q := ask("m")
	q.ID, q.Key, q.Priority, q.Stream, q.Session, q.Now = "id-1", 1, 5, true, 77, int64(9*time.Second)
	q.Pending, q.Held = int64(20*time.Millisecond), int64(8900*time.Millisecond)
	q.Prefix, q.BlockTokens = []uint64{1, 2, 3}, 16
	d := pick(t, s, q)
	d.Reservation.FirstByte(q.Now + int64(250*time.Millisecond))
	d.Reservation.End()
	all := ring.Last(10)
	if len(all) != 1 {
		t.Fatalf("%d records", len(all))
	}
	r := all[0]
	if r.RequestID != "id-1" || r.Model != "m" || r.Key != "team-a" || r.Priority != 5 || !r.Stream || r.Session != 77 || r.Try != 1 || r.Max != 50 || r.Prompt != 100 {
		t.Errorf("the request: %+v", r)
	}
	if r.Verdict != record.Picked || r.Instance != d.Instance.Name || r.Policy != "predictive" || r.Reason != d.Reason || r.Degraded != "none" || r.Blocks != 3 || r.PromptHash != 2 {
		t.Errorf("the decision: %+v", r)
	}
	if r.Pending != 120 || r.Actual != 250 || math.Abs(float64(r.TTFT)-d.TTFT*1e3) > 1e-3 || r.Unanswered {
		t.Errorf("the times: %+v", r)
	}
	if len(r.Candidates) != 3 || r.Considered != 3 || !r.Predicted() || r.Chosen() < 0 {
		t.Fatalf("the candidates: %+v", r.Candidates)
	}
	c := r.Candidates[r.Chosen()]
	if c.TTFT != r.TTFT || c.Fresh != 100 || c.Foreign != 3 || c.InFlight != 0 || c.KVUsage != 0.1 || !c.Ready || c.Ages[sigRunning] < 0 || c.Ages[sigPrefix] != -1 {
		t.Errorf("the chosen: %+v", c)
	}
}

func TestOfAHeldRequestTheFirstNoIsRecorded(t *testing.T) {
	s, ring := recorded(t, 2, "predictive", false)
	for _, i := range s.Instances() {
		i.says(3, 4)
	}
	q := ask("m")
	for range 3 {
		if d := s.Pick(q); d.Verdict != Full {
			t.Fatalf("verdict %d", d.Verdict)
		}
	}
	s.Instances()[1].says(0, 0)
	d := pick(t, s, q)
	d.Reservation.End()
	got := ring.Last(10)
	if len(got) != 2 || got[1].Verdict != record.Full || got[0].Verdict != record.Picked {
		t.Fatalf("%+v", got)
	}
	if got[1].Full != 0 || got[1].Considered != 2 || got[0].Actual != 0 || !got[0].Unanswered {
		t.Errorf("%+v", got)
	}
	q.Tried.Add(d.Instance)
	s.Pick(q)
	if got := ring.Last(1)[0]; got.Verdict != record.Full || got.Try != 2 || got.Considered != 1 {
		t.Errorf("of the second try: %+v", got)
	}
}

func TestNobodyIsRecordedToo(t *testing.T) {
	s, ring := recorded(t, 1, "p2c", false)
	s.Pick(ask("other"))
	for _, i := range s.Instances() {
		i.draining.Store(drainAsked)
	}
	s.Pick(ask("m"))
	var got []string
	for _, d := range ring.Last(2) {
		got = append(got, d.Verdict)
	}
	if !slices.Equal(got, []string{record.NoInstance, record.NoModel}) {
		t.Errorf("got %v", got)
	}
}

func TestWhoIsKeptOfMany(t *testing.T) {
	const n = 300
	sc := &scratch{from: make([]candidate, n)}
	var costs []float64
	for i := range sc.from {
		sc.from[i].inst = new(Instance)
		sc.from[i].cost = float64(i * 7919 % n)
		costs = append(costs, sc.from[i].cost)
	}
	slices.Sort(costs)
	last := slices.IndexFunc(sc.from, func(c candidate) bool { return c.cost == n-1 })
	kept := sc.cheapest(64, sc.from[last].inst, true)
	var got []float64
	for _, k := range kept {
		got = append(got, sc.from[k].cost)
	}
	slices.Sort(got)
	if want := append(slices.Clone(costs[:63]), n-1); !slices.Equal(got, want) {
		t.Errorf("kept %v", got)
	}
	if kept := sc.cheapest(64, nil, false); len(kept) != 64 || kept[63] != 63 {
		t.Errorf("without predictions: %v", kept)
	}
}

func TestOfADecisionThatGoesIntoNoFileFewAreKept(t *testing.T) {
	for whole, want := range map[bool]int{false: 16, true: 40} {
		s, ring := recorded(t, 40, "predictive", whole)
		d := pick(t, s, ask("m"))
		d.Reservation.End()
		r := ring.Last(1)[0]
		if len(r.Candidates) != want || r.Considered != 40 || r.Chosen() < 0 {
			t.Errorf("for a file %v: %d of %d kept, the chosen at %d", whole, len(r.Candidates), r.Considered, r.Chosen())
		}
	}
}

func TestAPolicyWithoutPredictionsHasThemOfTheChosen(t *testing.T) {
	for _, whole := range []bool{false, true} {
		s, ring := recorded(t, 4, "round-robin", whole)
		d := pick(t, s, ask("m"))
		d.Reservation.End()
		r := ring.Last(1)[0]
		if r.Predicted() != whole || r.Candidates[r.Chosen()].Cost == 0 {
			t.Errorf("whole %v: %+v", whole, r.Candidates)
		}
	}
}

// What a policy chose, it chooses again of what was recorded: its chance is in
// the record too.
func TestAReplayChoosesAsThePolicyDid(t *testing.T) {
	for _, policy := range Policies() {
		s, ring := recorded(t, 6, policy, true)
		for n, i := range s.Instances() {
			i.says(n*3%7+1, 0)
		}
		chain := make([]uint64, 12)
		for n := range chain {
			chain[n] = next(uint64(n))
		}
		var held []Decision
		r, err := NewReplay(policy)
		if err != nil {
			t.Fatal(err)
		}
		same, of := 0, 0
		for n := range 200 {
			q := ask("m")
			q.Now, q.PromptTokens = int64(n)*int64(50*time.Millisecond), 200+n*37%1500
			q.Prefix, q.BlockTokens = chain[:3+n%9], prefix.BlockBytes/4
			d := s.Pick(q)
			if d.Verdict != Picked {
				continue
			}
			if held = append(held, d); len(held) > 12 {
				held[0].Reservation.FirstByte(q.Now)
				held[0].Reservation.End()
				held = held[1:]
			}
			rec := ring.Last(1)[0]
			c, ok := r.Choose(&rec)
			if !ok {
				t.Fatalf("%s: cannot be replayed: %+v", policy, rec)
			}
			of++
			if rec.Candidates[c.Candidate].Instance == d.Instance.Name {
				same++
			}
		}
		if same < of || of < 20 {
			t.Errorf("%s: %d of %d as it was", policy, same, of)
		}
	}
}

func TestForesightOfAnInstance(t *testing.T) {
	s, _ := recorded(t, 2, "p2c", false)
	i := s.Instances()[0]
	if got := s.Foresee(i, 0); got != 0 {
		t.Errorf("of one that nothing was seen of: %v", got)
	}
	for n := range int64(40) {
		q := ask("m")
		q.Only, q.Stream, q.Now = i, true, n*int64(time.Second)
		d := pick(t, s, q)
		d.Reservation.FirstByte(q.Now + int64(300*time.Millisecond))
		d.Reservation.End()
	}
	if got := s.Foresee(i, int64(50*time.Second)); got < 0.15 || got > 0.6 {
		t.Errorf("got %v s, want about 0.3", got)
	}
}

func TestARefusalEndsTheRecordOfARequest(t *testing.T) {
	s, ring := recorded(t, 2, "predictive", false)
	for _, i := range s.Instances() {
		i.says(3, 4)
	}
	q := ask("m")
	q.ID, q.Key, q.Prefix, q.Now = "id-1", 1, []uint64{1, 2}, int64(time.Second)
	s.Pick(q)
	s.Refused(q, 429, "queue_timeout", int64(3*time.Second))
	got := ring.Of("id-1")
	if len(got) != 2 || got[1].Verdict != record.Full || got[1].Unheld {
		t.Fatalf("%+v", got)
	}
	d := got[0]
	if d.Verdict != record.Refused || d.Code != "queue_timeout" || d.Status != 429 || d.Pending != 3000 || d.Try != 1 || d.Key != "team-a" || d.Policy != "predictive" {
		t.Errorf("%+v", d)
	}
	if d.Model != got[1].Model || d.Prompt != got[1].Prompt || d.PromptHash != got[1].PromptHash || len(d.Candidates) != 0 {
		t.Errorf("it is not of the request: %+v", d)
	}
	fleetOf(t, 1, "p2c").Refused(q, 500, "internal", 0) // nobody looks back
}

// Where there is no line, no place now is not a wait for one.
func TestWhoMayNotBeHeldIsNotRecordedAsHeld(t *testing.T) {
	s, ring := recorded(t, 2, "predictive", false)
	for _, i := range s.Instances() {
		i.says(3, 4)
	}
	f := func(eager bool, held int64, want bool) {
		t.Helper()
		q := ask("m")
		q.Eager, q.Held, q.Now = eager, held, 2
		s.Pick(q)
		if d := ring.Last(1)[0]; d.Verdict != record.Full || d.Unheld != want {
			t.Errorf("eager %v, held since %d: %+v", eager, held, d)
		}
	}
	f(false, 0, false)
	f(true, 0, true)
	f(true, 1, false) // the line is made shorter
}
