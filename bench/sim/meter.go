package sim

import (
	"time"

	"penstock/bench/model"
	"penstock/scheduler/telemetry"
)

// bounds are the buckets of an engine's histograms: the first token, what comes
// between tokens, and whole requests, all in seconds.
type bounds struct{ first, token, request []float64 }

var (
	oldBounds = bounds{
		first:   []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10},
		token:   []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5},
		request: []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60},
	}
	newBounds = bounds{
		first:   append(oldBounds.first[:16:16], 20, 40, 80, 160, 640, 2560),
		token:   append(oldBounds.token[:13:13], 5, 7.5, 10, 20, 40, 80),
		request: append(oldBounds.request[:15:15], 120, 240, 480, 960, 1920, 7680),
	}
	sglangBounds = bounds{
		first:   []float64{.1, .2, .4, .6, .8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400},
		token:   []float64{.002, .004, .006, .008, .01, .015, .02, .025, .03, .035, .04, .06, .08, .1, .2, .4, .6, .8, 1, 2, 4, 6, 8},
		request: []float64{.1, .2, .4, .6, .8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 1200, 1800, 2400},
	}
	tokenBounds = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000}
)

// meter is what an engine's metrics say beyond the model's own counts. Times are
// real: what a client with a watch would see. The driver writes, any goroutine
// reads.
type meter struct {
	ttft, itl, tpot, e2e                 *telemetry.Histogram
	queue, inference, prefill, decode    *telemetry.Histogram
	promptTokens, outputTokens, maxToken *telemetry.Histogram // a second of theirs is a token

	ends []telemetry.Counter // by reason
}

func newMeter(b bounds) meter {
	h := telemetry.NewHistogram
	return meter{
		ttft: h(b.first), itl: h(b.token), tpot: h(b.token), e2e: h(b.request),
		queue: h(b.request), inference: h(b.request), prefill: h(b.request), decode: h(b.request),
		promptTokens: h(tokenBounds), outputTokens: h(tokenBounds), maxToken: h(tokenBounds),
		ends: make([]telemetry.Counter, len(reasons)),
	}
}

// token observes the token that s has got at a moment of the model's.
func (m *meter) token(k *clock, at time.Duration, c *choice, s *model.Sequence) {
	switch s.Generated() {
	case 0: // only its prompt was wanted
	case 1:
		m.ttft.Observe(k.real(at - s.Times().Arrived))
	default:
		m.itl.Observe(k.real(at - c.last))
	}
	c.last = at
}

// finished observes the whole of s.
func (m *meter) finished(k *clock, c *choice, s *model.Sequence) {
	t, tokens := s.Times(), time.Duration(s.Generated())
	m.e2e.Observe(k.real(t.Finished - t.Arrived))
	m.queue.Observe(k.real(t.Scheduled - t.Arrived))
	m.inference.Observe(k.real(t.Finished - t.Scheduled))
	m.prefill.Observe(k.real(t.FirstToken - t.Scheduled))
	m.decode.Observe(k.real(t.Finished - t.FirstToken))
	if tokens > 1 {
		m.tpot.Observe(k.real(t.Finished-t.FirstToken) / (tokens - 1))
	}
	m.promptTokens.Observe(time.Duration(s.PromptTokens()) * time.Second)
	m.outputTokens.Observe(tokens * time.Second)
	m.maxToken.Observe(time.Duration(c.output.tokens) * time.Second)
	m.ended(c.output.reason)
}

func (m *meter) ended(reason string) { m.ends[reasonIndex(reason)].Inc() }
