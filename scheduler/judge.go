package scheduler

import (
	"fmt"
	"time"

	"penstock/scheduler/engine"
)

const (
	// oldAfter is how many intervals, with the time that a reading may take, a
	// signal may be old.
	oldAfter = 3
	// proofs is how many requests that ended, and movesProven how many times an
	// answer went on, prove that an engine worked. Some count tokens only when a
	// request ends, so that one long stream proves nothing.
	proofs      = 3
	movesProven = 20
	// liesProven is how many reports in a row have to contradict our account:
	// one may have crossed with what it is compared to.
	liesProven = 3
	// absentAfter is how many reports may be without what decisions want: some
	// engines show a series only once they have something to show.
	absentAfter = 3
	// proofTime is the least that a proof takes: engines publish some figures
	// once a second.
	proofTime = time.Second
	// leastStreams is how many streams our account has to hold against a
	// report: of few, each may just have ended.
	leastStreams = 4
	// staleAfter is how long work may be claimed of which nothing moves.
	staleAfter = 3 * time.Second
	// kvShare is the part of the KV cache that our own requests must fill
	// before a usage of 0 is untrue.
	kvShare = 0.05
	// percent is the most that a usage says that is one of a hundred.
	percent = 101
)

// judge decides which signals of an instance are believed. It belongs to the
// keeper, which asks it after each reading and between.
type judge struct {
	moved, ended uint64    // our account when the tokens last changed
	tokensAt     time.Time // when they did
	tokens       uint64

	// The engine's counters stand still while our account proves that it works:
	// then it is an old page that somebody keeps. Only a report can tell: between
	// two, which may be seconds, they always do. It has to show what our account
	// had at the report before it.
	still                bool
	readMoved, readEnded uint64

	lastMoved uint64    // our account at the last report
	lies      int       // reports in a row that had too few running
	liesSince time.Time // the first of them
	empty     int       // reports in a row that had an empty cache that cannot be

	beyond     int    // reports in a row whose cache usage is beyond 1
	impossible string // what the first of them was; empty: there are none

	// What there was to read, since the engine came.
	heardOf, mapped  engine.Signals
	reports          int
	err              error  // why nothing could be read last; nil: it could
	lacks, toldLacks string // of what the operator mapped, in words

	claims  claims
	sent    uint64    // row.sent at the last report
	stillAt time.Time // since when the claims have been the same, with nothing of ours in it
	stale   bool      // and for too long: an instance that is full for ever would never get the request that proves it wrong
}

// claims are what an engine says of its work.
type claims struct {
	running, waiting, kvUsage float64
	tokens                    uint64
}

// heard looks at a new report, against our account: streams is how many were
// under way both before it was asked for and after.
func (j *judge) heard(i *Instance, r *engine.Reading, streams int64, now time.Time) {
	moved, ended := i.row.moved.Load(), i.row.ended.Load()
	j.err, j.lacks, j.mapped = nil, r.Lacks, r.Mapped
	j.heardOf |= r.Has
	j.reports++
	j.doubtUsage(r)
	if tokens := r.PromptTokens + r.GenerationTokens; tokens != j.tokens || j.tokensAt.IsZero() {
		j.tokens, j.tokensAt, j.moved, j.ended, j.still = tokens, now, moved, ended, false
	} else {
		j.still = now.Sub(j.tokensAt) >= proofTime && j.readEnded-j.ended >= proofs && j.readMoved-j.moved >= movesProven
	}
	j.readMoved, j.readEnded = moved, ended
	switch inIt := requests(r.Running) + requests(r.Waiting); {
	case streams < leastStreams || inIt >= streams/4:
		j.lies = 0
	case int64(moved-j.lastMoved) >= streams: // they do go on
		if j.lies++; j.lies == 1 {
			j.liesSince = now
		}
		j.lastMoved = moved
	}
	if j.lies == 0 {
		j.lastMoved = moved
	}
	says := claims{r.Running, r.Waiting, r.KVUsage, r.PromptTokens + r.GenerationTokens}
	if sent := i.row.sent.Load(); says != j.claims || sent != j.sent || i.row.inFlight.Load() > 0 || j.stillAt.IsZero() {
		j.claims, j.sent, j.stillAt = says, sent, now
	}
	j.stale = r.Running+r.Waiting > 0 && now.Sub(j.stillAt) >= staleAfter
	ours := i.row.prefill.Load() + i.row.decode.Load()
	if r.KVUsage == 0 && r.KVCapacityTokens > 0 && streams >= leastStreams && float64(ours) > kvShare*float64(r.KVCapacityTokens) {
		j.empty++
	} else {
		j.empty = 0
	}
}

// missed notes that nothing could be read.
func (j *judge) missed(err error) { j.err = err }

// rest forgets what there was to read: the engine has gone, or shows less when
// it is back.
func (j *judge) rest() { j.heardOf, j.reports = 0, 0 }

// doubtUsage looks for a cache usage that is none. Whoever says 23 means per
// cent, and means 0.5 per cent by 0.5: after a few such the signal stays dead,
// until the engine is another.
func (j *judge) doubtUsage(r *engine.Reading) {
	switch restarted := r.PromptTokens+r.GenerationTokens < j.tokens; {
	case r.KVUsage > 1:
		j.beyond++
		if j.impossible == "" {
			j.impossible = fmt.Sprintf("kv_usage %.4g is beyond 1", r.KVUsage)
			if r.KVUsage <= percent {
				j.impossible += ": is kv_usage_scale 0.01 missing?"
			}
		}
	case j.beyond < liesProven || restarted:
		j.beyond, j.impossible = 0, ""
	}
}

// evidence is what people have to know of the signals, in words.
func (j *judge) evidence(gone bool) string {
	missing := j.missing(gone)
	if missing != "" && j.impossible != "" {
		missing += "; "
	}
	return missing + j.impossible
}

// missing says why something cannot be read.
func (j *judge) missing(gone bool) string {
	if gone {
		return j.err.Error()
	}
	return j.lacks
}

// death is what speaks against the n-th signal, given the words that the last
// report had, whether the page is gone, and how old a report may be.
func (j *judge) death(i *Instance, n int, has engine.Signals, gone bool, oldest time.Duration, now time.Time) uint32 {
	s := &i.signals[n]
	bit := signalSources[n].has
	age := s.age(now)
	switch {
	case n == sigKernel && !i.wired():
		return absent
	case bit == 0:
		return alive
	case !i.attended(): // nobody asks it
		return unread
	case gone:
		return absent
	case has == 0, age > oldest:
		return unread
	case !has.Has(bit):
		return absent
	case has.Has(engine.HasTokens) && j.still:
		return frozen
	case (n == sigRunning || n == sigWaiting) && j.lies >= liesProven && now.Sub(j.liesSince) >= proofTime:
		return untrue
	case (n == sigRunning || n == sigWaiting || n == sigKVUsage) && j.stale:
		return untrue
	case n == sigKVUsage && (j.impossible != "" || j.empty >= liesProven && !s.changed.Load()):
		return untrue
	}
	return alive
}
