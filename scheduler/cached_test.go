package scheduler

import (
	"testing"
	"time"

	"penstock/scheduler/engine"
)

func TestOneLieOfCachedTokensIsNotBelievedForEver(t *testing.T) {
	s := speeds(t, fast)
	i := s.Instances()[0]
	d := pick(t, s, prompt("x", 4000))
	d.Reservation.FirstByte(1)
	d.Reservation.Cached(1 << 40) // once
	d.Reservation.End()
	// and from now on the truth: nothing is ever found
	for range 100 {
		i.trust.add(4000, 0)
	}
	if got := i.trust.share(); got > 0.5 {
		t.Errorf("share is %.2f after 400,000 tokens that were believed to be cached and were not", got)
	}
}

// What the engine finds of others' prompts says nothing of ours.
func TestTrafficOfOthersTakesNoTrustAway(t *testing.T) {
	s := speeds(t, fast)
	i := s.Instances()[0]
	var hits, queries uint64
	for range 100 {
		i.row.work.found.Add(4000) // all of ours is found, in truth too
		i.row.work.computed.Add(100)
		hits, queries = hits+4000, queries+4100+40_000 // a batch job's
		i.compare(&engine.Reading{Has: engine.HasPrefix, PrefixHits: hits, PrefixQueries: queries})
	}
	if got := i.trust.share(); got < 0.9 {
		t.Errorf("our index is right every time, and is trusted %.2f", got)
	}
}

func TestWhoIsGoneHasNothingCached(t *testing.T) {
	s := speeds(t, fast, fast)
	a := s.Instances()[0]
	q := prompt("x", 4000)
	q.Only = a
	d := pick(t, s, q)
	d.Reservation.FirstByte(1)
	d.Reservation.End()
	a.Failed(Refused, "") // the process died
	a.recovered()         // and another one answers
	a.ramp.advance(time.Hour)
	a.settled()
	if n := s.cached.Len(a.slot); n != 0 {
		t.Errorf("an engine that was killed and started anew is believed to have %d blocks", n)
	}
}

// It does not teach how long answers are, nor that the prompt is cached.
func TestAnErrorIsNoAnswer(t *testing.T) {
	s := speeds(t, fast, fast)
	for _, i := range s.Instances() {
		i.says(0, 0, func(r *engine.Reading) { r.KVCapacityTokens, r.KVUsage = 1_000_000, 0 })
	}
	q := prompt("x", 4000)
	q.MaxTokens = -1
	before := s.expected(q)
	for n := range 16 {
		q := prompt("x", 4000)
		q.MaxTokens, q.Now = -1, int64(n)*sec
		d := pick(t, s, q)
		d.Reservation.Forget() // 429, 400, 500
		d.Reservation.FirstByte(q.Now + 1e6)
		d.Reservation.End()
	}
	if after := s.expected(q); after != before {
		t.Errorf("expected output was %d tokens, and is %d after 16 errors", before, after)
	}
	for _, i := range s.Instances() {
		if n := s.cached.Len(i.slot); n != 0 {
			t.Errorf("%s is believed to have %d blocks cached, of prompts that it refused", i.Name, n)
		}
	}
}
