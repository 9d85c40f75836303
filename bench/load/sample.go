package load

import (
	"strings"
	"time"
)

// sample is what one request measured. Times are since the run began.
type sample struct {
	sent  time.Duration // when it went out; in an open loop, when it was meant to
	first time.Duration // its first output
	last  time.Duration // its last
	ended time.Duration // its last byte
	late  time.Duration // how much later than meant it went out
	warm  bool          // it is not measured

	pieces       int // events that carried output
	promptTokens int // as the engine counted; 0: it did not say
	outputTokens int
	cachedTokens int // of the prompt; -1: it did not say
	asked        int // tokens of a workload's prompt

	instance string // that X-Penstock-Decision named
	class    string // of the error, empty for a request that completed
	rejected bool   // 429
	code     string // of what was rejected
	message  string // the error in words
}

// output counts a piece of output at now; gap is the time since the one before,
// where there was one.
func (s *sample) output(now time.Duration) (gap time.Duration, ok bool) {
	s.pieces++
	if s.pieces == 1 {
		s.first, s.last = now, now
		return 0, false
	}
	gap, s.last = now-s.last, now
	return gap, true
}

// reject takes a 429, and why: its code, and what was said with it.
func (s *sample) reject(said []byte) {
	s.rejected, s.code, s.message = true, "429", excerpt(said)
	if v := valueOf(said, codeKey); len(v) > 1 && v[0] == '"' {
		s.code, _, _ = strings.Cut(string(v[1:]), `"`)
	}
}

var codeKey = []byte(`"code"`)

// fail sets the class, of the first thing that went wrong.
func (s *sample) fail(class, message string) {
	if s.class == "" {
		s.class, s.message = class, message
	}
}

func (s *sample) completed() bool { return s.class == "" && !s.rejected }

// tokens is the output as the engine counted, else one for each piece.
func (s *sample) tokens() int {
	if s.outputTokens > 0 {
		return s.outputTokens
	}
	return s.pieces
}

func (s *sample) ttft() time.Duration { return s.first - s.sent }
func (s *sample) e2e() time.Duration  { return s.ended - s.sent }

// tpot is the time per output token after the first; false where it was no
// stream or there was no second.
func (s *sample) tpot() (time.Duration, bool) {
	if s.pieces < 2 || s.tokens() < 2 {
		return 0, false
	}
	return (s.last - s.first) / time.Duration(s.tokens()-1), true
}

// good says whether the request met its objectives; 0 is none.
func (s *sample) good(ttft, itl time.Duration) bool {
	if !s.completed() || ttft > 0 && s.ttft() > ttft {
		return false
	}
	tpot, _ := s.tpot()
	return itl == 0 || tpot <= itl
}
