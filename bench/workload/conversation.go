package workload

import (
	"slices"
	"time"
)

// conversations is how many w6 has, and at least one for each client.
const conversations = 800

const (
	leastTurns  = 8 // 16 messages
	mostContext = 8192
	system      = 64
	startWithin = 10 * time.Second // clients do not begin all at once
)

var (
	turnPrompt = lengths{mean: 70, spread: 1, most: 1024}
	turnAnswer = lengths{mean: 200, spread: 0.8, most: 800}
)

// multiTurn makes a closed loop: each client takes a conversation, says one
// thing after the other, and takes the next conversation.
func multiTurn(least int) func(Params) Stream {
	return func(p Params) Stream {
		n := int(p.Rate)
		t := &talks{seed: p.Seed, left: max(least, n)}
		d := newDice(p.Seed, 6)
		starts := make([]time.Duration, n)
		for i := range starts {
			starts[i] = time.Duration(d.Int64N(int64(startWithin)))
		}
		slices.Sort(starts)
		return func() *Request {
			if len(starts) == 0 {
				return nil
			}
			at := starts[0]
			starts = starts[1:]
			return t.begin(at)
		}
	}
}

// talks are the conversations of a run.
type talks struct {
	seed uint64
	left int
}

// talk is one conversation. What is said in it depends on its number alone.
type talk struct {
	dice
	all   *talks
	spans []Span
	turns int // to come
	used  int // tokens of its context
}

// begin takes the next conversation; nil if there is none.
func (t *talks) begin(at time.Duration) *Request {
	if t.left == 0 {
		return nil
	}
	t.left--
	d := newDice(t.seed, 0x600+uint64(t.left)<<16)
	k := &talk{dice: d, all: t, spans: []Span{{Text: 6, Tokens: system}}, used: system}
	k.turns = leastTurns + min(int(d.ExpFloat64()*4), 16)
	return k.next(at)
}

// next says the next thing.
func (k *talk) next(at time.Duration) *Request {
	if k.turns == 0 || k.used > mostContext-turnPrompt.most-turnAnswer.most {
		return k.all.begin(at)
	}
	k.turns--
	r := &Request{At: at, MaxTokens: -1, Output: turnAnswer.draw(k.dice), Answer: k.Uint64(), Then: k.next}
	k.spans = append(k.spans, Span{k.Uint64(), turnPrompt.draw(k.dice)})
	r.prompt(slices.Clip(k.spans)...)
	k.spans = append(k.spans, Span{r.Answer, r.Output})
	k.used = r.Tokens + r.Output
	return r
}
