package dataplane

import (
	"math/rand/v2"
	"unsafe"

	"penstock/scheduler"
)

// ask sets down for the scheduler what it should know of the request.
func (c *call) ask() {
	q := &c.req
	q.query = scheduler.Query{
		ID:           borrow(q.id),
		Model:        borrow(q.fields.Model),
		PromptTokens: c.promptTokens(),
		MaxTokens:    q.maxTokens(),
		Stream:       q.fields.Stream,
		Opaque:       q.fields.Media || q.route.kind == routeForm,
		Session:      q.session(),
		Only:         c.owner(),
		Key:          q.keyIndex,
		Priority:     q.priority,
		Like:         uint64(q.route.index)<<32 | uint64(q.keyIndex),
		Eager:        c.g.cfg.Queue.MaxSize == 0,
		Arrived:      q.ready, // however long the client took to send it
	}
	q.chain()
}

// borrow is b as a string without a copy: valid as long as the request's
// buffers are. The scheduler keeps none of it, the holder makes its own.
func borrow(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// place finds an instance: at once, or after a wait. What it returns as a
// refusal ends the request.
func (c *call) place() *refusal {
	q := &c.req
	// Who comes now does not overtake who waits; who was tried already may.
	if q.tries > 0 || c.g.holder.count.Load() == 0 {
		if c.pick(); q.decision.Verdict != scheduler.Full {
			return c.verdict()
		}
	}
	return c.await()
}

// pick asks the scheduler.
func (c *call) pick() {
	q := &c.req
	start := c.g.now()
	q.query.Now, q.query.Rand = start, rand.Uint64()
	q.decision = c.g.sched.Pick(&q.query)
	c.g.sched.ObserveDecision(c.g.now() - start)
}

// verdict turns a decision that is no instance into what the client is told.
func (c *call) verdict() *refusal {
	q := &c.req
	switch q.decision.Verdict {
	case scheduler.Picked:
		return nil
	case scheduler.Hopeless:
		return refuseLate(q.decision.TTFT)
	case scheduler.NoModel:
		return &refusal{status: 404, code: "model_not_found", reason: reasonNotFound, param: "model",
			msg: "no instance serves the model `" + clip(q.fields.Model) + "`; GET /v1/models lists what there is"}
	}
	return c.g.noInstance()
}

// await holds the request until an instance can take it.
func (c *call) await() *refusal {
	q, h := &c.req, c.g.holder
	start := c.g.now()
	deadline, hopeless := int64(0), int64(0)
	if t := c.g.cfg.Queue.Timeout; t > 0 {
		deadline = start + int64(t)
	}
	if t := c.g.cfg.Queue.Promised; t > 0 && q.tries == 0 {
		if hopeless = q.ready + int64(t+c.g.sched.Alone(&q.query)); deadline == 0 || hopeless < deadline {
			deadline = hopeless
		}
	}
	q.query.Held = start
	w := h.enter(&q.query, c.g.stations.of(q.decision.Instance), deadline, hopeless)
	if w == nil {
		return refuseQueueFull
	}
	defer h.leave(w)
	if c.waitFor(w) == nil {
		<-w.done
		c.waitFor(nil)
	}
	q.pending += c.g.now() - start
	q.query.Pending, q.query.Held = q.pending, 0
	switch {
	case w.state.Load() == bound:
		q.decision = w.decision
		return c.verdict()
	case c.stop.Load() == stopDrain:
		return refuseDraining
	case c.stop.Load() == stopLeft:
		c.g.account.abort(abortPending)
		return refuseQueueTimeout // nobody reads it
	case w.state.Load() == displaced:
		return refuseQueueFull
	case w.state.Load() == faulty:
		return refuseInternal
	case w.state.Load() == belated, hopeless > 0 && deadline == hopeless:
		return refuseLate(w.decision.TTFT)
	}
	return refuseQueueTimeout
}

// waitFor lets an interruption of the client end the wait.
func (c *call) waitFor(w *waiter) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wait = w
	c.deadline.Store(0)
	if w != nil && c.stop.Load() != stopNone {
		c.wait = nil
		w.cancel()
		return errInterrupted
	}
	return nil
}
