package dataplane

import (
	"math"
	"sync/atomic"
)

const (
	// bytesPerToken turns a prompt's bytes into a guess of its tokens, until
	// engines have said what they counted. English prose is near 4 with current
	// tokenizers.
	bytesPerToken = 4
	// A tokenizer that is further off counts what is not in the text.
	leastPerByte, mostPerByte = 1.0 / 8, 1.0 / 2
	// densityOver is how many bytes of a key's prompts are remembered; a sixteenth
	// of that is what the first guess counts as.
	densityOver = 1 << 20
)

// density is how many tokens a byte of a key's prompts has, as engines count:
// code, Chinese and spaces differ by a factor of ten. The zero value knows
// nothing. Any goroutine may use it; of two that learn at once one may be lost.
type density struct{ bytes, tokens atomic.Uint64 } // float64s, forgetting

func (d *density) perByte() float64 {
	const prior = densityOver / 16
	b, t := math.Float64frombits(d.bytes.Load()), math.Float64frombits(d.tokens.Load())
	return (t + prior/bytesPerToken) / (b + prior)
}

// learn takes in what an engine counted. What it adds itself, a template say, is
// too much for short texts.
func (d *density) learn(bytes, tokens int) {
	if bytes < 256 {
		return
	}
	share := min(max(float64(tokens)/float64(bytes), leastPerByte), mostPerByte)
	n := min(float64(bytes), densityOver/16)
	keep := 1 - n/densityOver
	d.bytes.Store(math.Float64bits(math.Float64frombits(d.bytes.Load())*keep + n))
	d.tokens.Store(math.Float64bits(math.Float64frombits(d.tokens.Load())*keep + n*share))
}

// promptTokens is a guess of the prompt's length.
func (c *call) promptTokens() int {
	q := &c.req
	return q.fields.Tokens + int(math.Ceil(float64(q.fields.TextBytes)*c.g.densities[q.keyIndex].perByte()))
}

// maxTokens is how long the answer may be; -1: as long as it likes.
func (q *request) maxTokens() int {
	if q.route.mute {
		return 0
	}
	return q.fields.MaxTokens
}

// teach leaves with the scheduler what a try's answer has shown, before its
// reservation ends.
func (c *call) teach(now int64, out outcome) {
	q, r := &c.req, &c.req.decision.Reservation
	if out.end == left || out.end == failed && c.stop.Load() == stopLeft {
		r.Leave()
	}
	if !q.started || q.status >= 300 || q.tunnel != nil {
		return
	}
	if out.end == ended {
		r.Answered(int(q.output()), now)
	} else {
		r.Tokens(q.output()-q.meter.told, now)
	}
	if u := &q.meter.usage; u.prompt > 0 {
		r.Cached(u.cached)
		if !q.fields.Media && q.fields.Tokens == 0 {
			c.g.densities[q.keyIndex].learn(q.fields.TextBytes, u.prompt)
		}
	}
}
