package dataplane

// claim is what a request has taken of its key's limits.
type claim struct {
	on     *limiter // nil: of nobody's, or it was settled
	costs  bool     // tokens, that is
	tokens int64    // taken beforehand
	answer int64    // of them for the answer
}

// enter counts the request among its key's. It needs the head alone.
func (c *client) enter() *refusal {
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

// reserve takes the tokens of the prompt, and those of an answer as the key's
// others have, but at most as many as were asked for.
func (c *client) reserve() (r *refusal) {
	q := &c.req
	l := q.claim.on
	if l == nil || len(q.body) == 0 { // asking for what is there already costs none
		return nil
	}
	q.claim.costs = true
	if !q.route.mute {
		q.claim.answer = l.answer.Load()
	}
	if most := q.fields.MaxTokens; most >= 0 {
		q.claim.answer = min(q.claim.answer, int64(most)*int64(max(q.fields.N, 1)))
	}
	q.claim.tokens, r = l.reserve(int64(q.promptTokens())+q.claim.answer, c.g.now())
	return r
}

// settle gives back what the request has no more use for, once: before its last
// byte goes out, so that a client that waits for that finds room.
func (c *client) settle() {
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
// here, else as expected. Where the client left before its answer, the engine
// may have read the prompt.
func (q *request) used() (prompt, output int64) {
	answered := q.started && q.status < 300
	left := q.status == 499 && q.sent > 0
	if !answered && !left {
		return 0, 0
	}
	told := q.meter.usage
	prompt, output = int64(told.prompt), int64(q.meter.tokens())
	if prompt == 0 {
		prompt = int64(q.promptTokens())
	}
	if answered && !q.meter.stream && told.prompt == 0 && told.completion == 0 {
		output = q.claim.answer
	}
	return prompt, output
}
