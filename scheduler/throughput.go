package scheduler

// throughput is how fast a line moves while somebody stands in it.
type throughput struct {
	since  int64 // when somebody came to stand in it, ns
	served float64
}

const (
	// throughputOver is what is remembered, and throughputFrom how many must have
	// been served for it to say anything.
	throughputOver = int64(10e9)
	throughputFrom = 8
)

// stand says that somebody stands in an empty line.
func (p *throughput) stand(now int64) { *p = throughput{since: now} }

// serve notes that one was given away.
func (p *throughput) serve(now int64) {
	p.served++
	if over := now - p.since; over > 2*throughputOver {
		p.served, p.since = p.served/2, now-over/2
	}
}

// each is how many seconds pass from one to the next; 0: nobody knows.
func (p *throughput) each(now int64) float64 {
	if p.served < throughputFrom {
		return 0
	}
	return seconds(now-p.since) / p.served
}

// Wait tells how many seconds each in line will still stand there, as fast as it
// moves now: behind those of a higher priority, and in turn with those of the
// same. Nobody is told while the line has not moved enough.
func (l *Line[T]) Wait(now int64, tell func(item T, wait float64)) {
	each := l.pace.each(now)
	if each == 0 {
		return
	}
	for _, t := range l.tenants {
		place := 0
		for i := range t.line {
			if h := &t.line[i]; !h.left {
				place++
				tell(h.item, float64(l.ahead(t, place))*each)
			}
		}
	}
}

// ahead is how many are served before the one at that place of a tenant's.
func (l *Line[T]) ahead(t *tenant[T], place int) int {
	n := place - 1
	for _, o := range l.tenants {
		switch {
		case o == t || o.class.model != t.class.model || o.priority < t.priority:
		case o.priority > t.priority:
			n += o.len()
		default:
			n += min(o.len(), place)
		}
	}
	return n
}
