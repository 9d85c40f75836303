package dataplane

import (
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func limiterOf(k Key) *limiter {
	k.Name = "ann"
	return &newLimiters([]Key{k})[0]
}

// says checks what a limiter answered: nothing, or a 429 with these words.
func says(t *testing.T, r *refusal, retry int, words ...string) {
	t.Helper()
	if len(words) == 0 {
		if r != nil {
			t.Errorf("refused: %s", r.msg)
		}
		return
	}
	if r == nil {
		t.Errorf("let in, want a refusal: %q", words)
		return
	}
	if r.status != 429 || r.code != "rate_limited" || r.reason != reasonRateLimited || r.retry != retry {
		t.Errorf("got %d %s, Retry-After %d, want 429 rate_limited, %d", r.status, r.code, r.retry, retry)
	}
	for _, w := range words {
		if !strings.Contains(r.msg, w) {
			t.Errorf("%q lacks %q", r.msg, w)
		}
	}
}

func TestRequestsPerMinute(t *testing.T) {
	l := limiterOf(Key{RequestsPerMinute: 2})
	says(t, l.enter(0), 0)
	says(t, l.enter(0), 0)
	says(t, l.enter(0), 30, "ann", "2", "requests_per_minute", "30 s")
	says(t, l.enter(29*second+1), 1, "requests_per_minute")
	if n := l.inFlight.Load(); n != 2 {
		t.Errorf("%d in flight, want 2: who is refused is not there", n)
	}
	l.leave(0, true)
	says(t, l.enter(0), 0)
	l.leave(0, false)
	says(t, l.enter(0), 30, "requests_per_minute")
	if n := l.refused[limitRequests].Load(); n != 3 {
		t.Errorf("%d refusals counted, want 3", n)
	}
}

func TestRequestsInFlight(t *testing.T) {
	l := limiterOf(Key{MaxInFlight: 2, RequestsPerMinute: 3})
	says(t, l.enter(0), 0)
	says(t, l.enter(0), 0)
	says(t, l.enter(0), 1, "ann", "2 in flight", "max_in_flight")
	l.leave(0, false)
	says(t, l.enter(0), 0) // the one that was refused was not counted as a request
	if n := l.refused[limitInFlight].Load(); n != 1 {
		t.Errorf("%d refusals counted, want 1", n)
	}
}

func TestRequestsInFlightUnderConcurrency(t *testing.T) {
	l := limiterOf(Key{MaxInFlight: 3})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				if l.enter(0) == nil {
					if n := l.inFlight.Load(); n > 3 {
						t.Errorf("%d in flight", n)
					}
					l.leave(0, false)
				}
			}
		})
	}
	all.Wait()
	if n := l.inFlight.Load(); n != 0 {
		t.Errorf("%d in flight when all have left", n)
	}
}

func TestTokensPerMinute(t *testing.T) {
	l := limiterOf(Key{TokensPerMinute: 600})
	f := func(need, now, want int64, retry int, words ...string) {
		t.Helper()
		taken, r := l.reserve(need, now)
		says(t, r, retry, words...)
		if taken != want {
			t.Errorf("%d were taken, want %d", taken, want)
		}
	}
	f(500, 0, 500, 0)
	f(200, 0, 0, 10, "ann", "600", "tokens_per_minute", "may need 200", "100 are left", "10 s")
	f(100, 0, 100, 0)
	l.charge(500, 20, 30, 0)
	f(450, 0, 450, 0)
	l.charge(100, 100, 700, 0) // 700 more than thought
	f(1, 0, 0, 71, "0 are left")
	f(1, 71*second, 1, 0)
	if p, g := l.prompt.Load(), l.generation.Load(); p != 120 || g != 730 {
		t.Errorf("%d and %d tokens counted, want 120 and 730", p, g)
	}
}

// What would never fit is let in when nothing else is used, and is paid for.
func TestRequestLargerThanAMinutesTokens(t *testing.T) {
	l := limiterOf(Key{TokensPerMinute: 600})
	taken, r := l.reserve(5000, 0)
	says(t, r, 0)
	if taken != 600 {
		t.Errorf("%d were taken, want 600", taken)
	}
	l.charge(taken, 4000, 200, 0)
	_, r = l.reserve(5000, 0)
	says(t, r, 420, "tokens_per_minute")
}

// Small answers, however many, let no burst in that the key does not pay for.
func TestABurstAfterSmallAnswersIsPaid(t *testing.T) {
	const perMinute, large = 20_000, 32_000
	l := limiterOf(Key{TokensPerMinute: perMinute})
	now := int64(0)
	for range 1000 {
		taken, r := l.reserve(10+1, now)
		says(t, r, 0)
		l.charge(taken, 10, 1, now)
		now += second
	}
	now += minute
	var all []int64
	for {
		taken, r := l.reserve(10+l.answer.Load(), now)
		if r != nil {
			break
		}
		all = append(all, taken)
	}
	if most := perMinute / firstAnswer; len(all) > most {
		t.Errorf("%d are let in at once, want %d at most", len(all), most)
	}
	for _, taken := range all {
		l.charge(taken, 10, large, now)
	}
	used := int64(len(all)) * (large + 10)
	if wait := l.tokens.take(perMinute, now); wait < minute/perMinute*used-second {
		t.Errorf("%d tokens are paid after %d s", used, wait/second)
	}
	if got := l.answer.Load(); got < large/2 {
		t.Errorf("after %d answers of %d tokens the next is thought to have %d", len(all), large, got)
	}
}

// An answer of a wrong engine does not lock a key out that has small ones.
func TestOneMiscountMovesTheEstimateLittle(t *testing.T) {
	l := limiterOf(Key{TokensPerMinute: 100_000})
	l.charge(0, 10, 4_000_000, 0)
	if got := l.answer.Load(); got > 2*firstAnswer {
		t.Errorf("the next is thought to have %d tokens", got)
	}
	for range 30 {
		l.charge(0, 10, 100, 0)
	}
	if got := l.answer.Load(); got != firstAnswer {
		t.Errorf("after 30 of 100 tokens the next is thought to have %d", got)
	}
}

// What is taken beforehand is enough for most answers.
func TestTheEstimateIsWhatFewAnswersExceed(t *testing.T) {
	l := limiterOf(Key{})
	r := rand.New(rand.NewPCG(1, 2))
	more := 0
	for n := range 20_000 {
		output := int64(math.Exp(6.5 + r.NormFloat64()))
		if n >= 10_000 && output > l.answer.Load() {
			more++
		}
		l.charge(0, 10, output, 0)
	}
	if more < 100 || more > 600 {
		t.Errorf("%d of 10,000 answers had more than was taken for them, want 1 to 6 %%", more)
	}
}

func TestNoLimits(t *testing.T) {
	l := limiterOf(Key{})
	for range 10000 {
		says(t, l.enter(0), 0)
		taken, r := l.reserve(1<<40, 0)
		says(t, r, 0)
		l.charge(taken, 1<<40, 1<<40, 0)
	}
	if head := l.appendTo(nil, 0); len(head) != 0 {
		t.Errorf("without limits, the answer has %q", head)
	}
}

func TestExpectedAnswerFollowsThoseSeen(t *testing.T) {
	l := limiterOf(Key{})
	f := func(output, low, high int64) {
		t.Helper()
		for range 200 {
			l.charge(0, 1, output, 0)
		}
		if got := l.answer.Load(); got < low || got > high {
			t.Errorf("%d tokens are expected after answers of %d", got, output)
		}
	}
	f(2000, 1980, 2000)
	f(600, 600, 620)
	f(0, 600, 620) // embeddings are no answers
	f(10, firstAnswer, firstAnswer)
}

func TestHowAKeyStands(t *testing.T) {
	l := limiterOf(Key{RequestsPerMinute: 60, TokensPerMinute: 600})
	l.enter(0)
	l.reserve(200, 0)
	want := "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-limit-tokens: 600\r\nx-ratelimit-remaining-tokens: 400\r\n"
	if got := string(l.appendTo(nil, 0)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
