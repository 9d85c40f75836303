package dataplane

// claim is what a request has taken of its key's limits.
type claim struct {
	on     *limiter // nil: of nobody's, or it was settled
	costs  bool     // tokens, that is
	tokens int64    // taken beforehand
	answer int64    // of them for the answer
	bytes  int64    // of the request's body
}

// enter counts the request among its key's. It needs the head alone.
func (c *call) enter() *refusal {
	q := &c.req
	if q.keyIndex == 0 {
		return nil
	}
	l := &c.g.limiters[q.keyIndex-1]
	if r := l.enter(c.g.now()); r != nil {
		return r
	}
	q.claim.on = l
	return nil
}

// reserve takes the tokens of the prompt, and those of an answer as few of the
// key's have more, but at most as many as were asked for.
func (c *call) reserve() (r *refusal) {
	q := &c.req
	l := q.claim.on
	if l == nil || len(q.body) == 0 { // asking for what is there already costs none
		return nil
	}
	q.claim.costs, q.claim.bytes = true, int64(len(q.body))
	if !q.route.mute {
		q.claim.answer = l.answer.Load()
	}
	if most := q.fields.MaxTokens; most >= 0 {
		q.claim.answer = min(q.claim.answer, int64(most)*int64(max(q.fields.N, 1)))
	}
	q.claim.tokens, r = l.reserve(int64(c.promptTokens())+q.claim.answer, c.g.now())
	return r
}

// settle gives back what the request has no more use for, once: before its last
// byte goes out, so that a client that waits for that finds room.
func (c *call) settle() {
	q := &c.req
	l := q.claim.on
	if l == nil {
		return
	}
	now := c.g.now()
	if q.claim.costs {
		prompt, output := q.used()
		l.charge(q.claim.tokens, prompt, output, now)
	}
	l.leave(now, q.status == 429 || q.status >= 500)
	q.claim = claim{}
}

// used is what the request has cost: as the engine counted, else as was counted
// here. Where nothing but an answer in one piece came, that is what was expected,
// or what its bytes make: a client that leaves before the last of them had it
// made all the same. Where the client left before its answer, the engine may have
// read the prompt.
func (q *request) used() (prompt, output int64) {
	m := &q.meter
	left := q.status == 499 && q.sent > 0
	if q.started && !m.good || !q.started && !left {
		return 0, 0
	}
	prompt = q.believed(m.usage.prompt, q.claim.bytes, 1)
	if prompt == 0 {
		prompt = int64(q.query.PromptTokens)
	}
	output = int64(q.output())
	if q.started && !m.stream && !m.usage.said && !q.route.mute {
		output = q.claim.answer
		if m.text {
			output = max(output, m.bytes/bytesPerToken)
		}
	}
	return prompt, output
}

// output is how many tokens the answer has, as far as that can be true.
func (q *request) output() int {
	return int(q.believed(q.meter.tokens(), q.meter.bytes, max(q.fields.N, 1)))
}

const (
	// usualContext is what an engine has room for that does not say.
	usualContext = 1 << 20
	// mostContext is more than any has: Llama 4 Scout's are ten million tokens.
	mostContext = 16 << 20
)

// believed bounds what an engine says that it counted, for it may be wrong: a
// token has a byte, or was never sent, for which the model's context is the bound.
func (q *request) believed(tokens int, bytes int64, answers int) int64 {
	if tokens >= 0 && int64(tokens) <= bytes {
		return int64(tokens)
	}
	context := usualContext
	if i := q.decision.Instance; i != nil {
		if said := i.Context(); said > 0 {
			context = min(said, mostContext)
		}
	}
	return min(int64(tokens), max(bytes, int64(context)*int64(answers)))
}
