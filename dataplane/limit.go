package dataplane

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"penstock/scheduler/telemetry"
)

// limiter keeps one key within its limits, and counts what it uses. All of it
// is atomic: any goroutine may call it, and none waits for another.
type limiter struct {
	key      *Key
	requests bucket
	tokens   bucket
	inFlight atomic.Int64
	answer   atomic.Int64 // tokens of an answer, of which few of its have more

	refused            [limitKinds]telemetry.Counter
	prompt, generation telemetry.Counter
}

// What a key can have too much of.
const (
	limitRequests = iota
	limitTokens
	limitInFlight
	limitKinds
)

var limitNames = [limitKinds]string{"requests", "tokens", "in_flight"}

// firstAnswer is how many tokens an answer is thought to have before the key had
// any, and at least: a chat's. Short ones, however many, must not open the door
// to a burst of long ones.
const firstAnswer = 256

func newLimiters(keys []Key) []limiter {
	all := make([]limiter, len(keys))
	for i := range all {
		l, k := &all[i], &keys[i]
		l.key = k
		l.requests.limit, l.tokens.limit = int64(k.RequestsPerMinute), int64(k.TokensPerMinute)
		l.answer.Store(firstAnswer)
	}
	return all
}

// enter lets one more request in.
func (l *limiter) enter(now int64) *refusal {
	if most := l.key.MaxInFlight; !l.board(int64(most)) {
		return l.refuse(limitInFlight, now, 0, fmt.Sprintf("has %d in flight, as many as it may (max_in_flight)", most))
	}
	if l.requests.limit > 0 {
		if wait := l.requests.take(1, now); wait > 0 {
			l.inFlight.Add(-1)
			return l.refuse(limitRequests, now, wait, fmt.Sprintf("has made the %d requests that it may in a minute (requests_per_minute)", l.requests.limit))
		}
	}
	return nil
}

// board takes a place, where there may be no more than most. Who finds none was
// never there, for others to stumble over.
func (l *limiter) board(most int64) bool {
	for {
		n := l.inFlight.Load()
		if most > 0 && n >= most {
			return false
		}
		if l.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// reserve takes the tokens that a request will use, as far as that is known
// beforehand. One that needs more than a whole minute's waits for a full bucket,
// not for ever.
func (l *limiter) reserve(need, now int64) (taken int64, r *refusal) {
	if l.tokens.limit == 0 {
		return 0, nil
	}
	taken = min(need, l.tokens.limit)
	if wait := l.tokens.take(taken, now); wait > 0 {
		return 0, l.refuse(limitTokens, now, wait, fmt.Sprintf("may use %d tokens a minute (tokens_per_minute): this request may need %d, and %d are left",
			l.tokens.limit, need, l.tokens.left(now)))
	}
	return taken, nil
}

// refuse says what the key has too much of, and when to come again.
func (l *limiter) refuse(limit int, now, wait int64, what string) *refusal {
	l.refused[limit].Inc()
	seconds := max(int((wait+int64(time.Second)-1)/int64(time.Second)), 1)
	return &refusal{status: 429, code: "rate_limited", reason: reasonRateLimited, retry: seconds, head: l.appendTo(nil, now),
		msg: fmt.Sprintf("the key %s %s; try again in %d s", l.key.Name, what, seconds)}
}

// appendTo writes how the key stands, in OpenAI's headers.
func (l *limiter) appendTo(dst []byte, now int64) []byte {
	for _, x := range [...]struct {
		bucket           *bucket
		limit, remaining string
	}{
		{&l.requests, "x-ratelimit-limit-requests: ", "x-ratelimit-remaining-requests: "},
		{&l.tokens, "x-ratelimit-limit-tokens: ", "x-ratelimit-remaining-tokens: "},
	} {
		if x.bucket.limit > 0 {
			dst = append(dst, x.limit...)
			dst = strconv.AppendInt(dst, x.bucket.limit, 10)
			dst = append(dst, "\r\n"...)
			dst = append(dst, x.remaining...)
			dst = strconv.AppendInt(dst, x.bucket.left(now), 10)
			dst = append(dst, "\r\n"...)
		}
	}
	return dst
}

// charge replaces the tokens that were taken for a request by what it used.
func (l *limiter) charge(taken, prompt, output, now int64) {
	l.tokens.settle(taken, prompt+output, now)
	l.prompt.Add(uint64(prompt))
	l.generation.Add(uint64(output))
	if output > 0 {
		l.note(output)
	}
}

// note moves the length that few answers exceed: by half of it up, by little
// down, so that it rests where one in 26 is longer, and none of them can move it
// far, such as an engine's miscount. Two at once may lose one.
func (l *limiter) note(output int64) {
	old := l.answer.Load()
	if output > old {
		l.answer.Store(min(output, old+old/2))
	} else {
		l.answer.Store(max(output, old-old/64, firstAnswer))
	}
}

// leave lets a request out. One that failed does not count.
func (l *limiter) leave(now int64, failed bool) {
	l.inFlight.Add(-1)
	if failed {
		l.requests.settle(1, 0, now)
	}
}
