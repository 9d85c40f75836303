package scheduler

// Foresee is how many seconds the first token of a request would take on the
// instance, of a prompt as they usually are; 0: nothing was seen of it yet. now
// is on the clock of Query.Now.
func (s *Scheduler) Foresee(i *Instance, now int64) float64 {
	if i.speed.Seen() == 0 {
		return 0
	}
	others := s.usual()
	c := candidate{inst: i, load: i.load(s.requestTokens())}
	c.full, c.crowded = i.full(c.load), i.crowded(c.load)
	q := &Query{PromptTokens: int(others.fresh), MaxTokens: -1, Now: now}
	v := viewOf(q, others.output, s.patience, others)
	c.believe(&v)
	c.observe(&v)
	c.foresee(&v)
	return c.ttft
}
