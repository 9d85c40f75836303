package scheduler

// rumour is what all candidates say of requests that are not ours, and how old
// that is: other gateways' requests came and went since. An instance that had few
// of them when it was last asked has as many as the others by and by, and whoever
// still believes it idle sends there what all the others do.
type rumour struct {
	foreign float64 // requests of others, on average of the candidates
	waiting float64 // requests in an engine's queue, likewise
	rate    float64 // requests that an instance is given, by all, for each that we give to any
	age     float64 // for each request that an instance is given, of the life of what it has: so many requests
	queued  float64 // likewise of what waits there
}

// hear is what the candidates say; nothing where all is ours.
func hear(from []candidate) (r rumour) {
	var mine, foreign, waiting int64
	for n := range from {
		l := &from[n].load
		mine, foreign, waiting = mine+l.requests-l.foreign, foreign+l.foreign, waiting+l.waiting
	}
	if foreign == 0 {
		return r
	}
	n := float64(len(from))
	r.foreign, r.waiting = float64(foreign)/n, float64(waiting)/n
	r.rate = (1 + float64(foreign)/float64(max(mine, 1))) / n
	r.age = r.rate / max(float64(mine+foreign)/n, 1)
	r.queued = r.rate / (1 + r.waiting)
	return r
}

// worth is how much what an instance has said is worth, of others' requests and of
// those in its queue, since we gave away so many: of the rest, what all say is as
// likely. Those who came last are told apart by their prompts, which are done long
// before the answers: a report is worth less than by its age alone. Measured with
// 8 and 16 gateways: a power of 1 is followed by the herd.
func (r *rumour) worth(given uint64) (foreign, waiting float64) {
	f, w := 1+float64(given)*r.age, 1+float64(given)*r.queued
	each := 1 / (f * w) // one division in place of two
	f, w = w*each, f*each
	f, w = f*f, w*w
	return f * f, w * w
}

// believe takes of what the instance says what it is worth.
func (c *candidate) believe(v *view) {
	heard, foreign, waiting := &v.heard, float64(c.load.foreign), float64(c.load.waiting)
	if foreign != heard.foreign || waiting != heard.waiting {
		f, w := heard.worth(newer(v.given, c.inst.said.given.Load()))
		foreign = heard.foreign + f*(foreign-heard.foreign)
		waiting = heard.waiting + w*(waiting-heard.waiting)
	}
	c.others, c.queued = foreign, waiting
}
