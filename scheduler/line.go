package scheduler

import "slices"

// Line is who is held, and in which order they are served: by priority, then the
// tenant who has been served least (service.go), then by arrival. A tenant who is
// passed over rises by one priority each oldest, until it is its turn: nobody
// starves. It belongs to one goroutine.
type Line[T any] struct {
	sched   *Scheduler
	tenants []*tenant[T]
	many    map[owner]int // in line of each
	len     int
	full    []class // no instance takes them now, of this pass
	crammed []class // nor without waiting for a better place
	cut     bool    // the last pass did not come to the end
	pace    throughput
}

// mostLooks bounds a pass: how many are asked for, and still wait.
const mostLooks = 256

// NewLine makes an empty line of the scheduler's.
func NewLine[T any](s *Scheduler) *Line[T] {
	return &Line[T]{sched: s, many: make(map[owner]int)}
}

// Len is how many are held.
func (l *Line[T]) Len() int { return l.len }

// Add puts one at its place. The query is its own, and lives as long as it is
// held.
func (l *Line[T]) Add(item T, q *Query, now int64) {
	t := l.tenant(owner{q.Key, q.Priority}, class{q.Model, q.Only, q.Tried})
	if l.many[t.owner] == 0 {
		l.sched.service.lift(q.Key, l.floor(t))
	}
	if l.len == 0 {
		l.pace.stand(now)
	}
	t.line = append(t.line, held[T]{item: item, since: now})
	l.many[t.owner]++
	l.len++
}

// tenant finds one, or makes it.
func (l *Line[T]) tenant(o owner, c class) *tenant[T] {
	for _, t := range l.tenants {
		if t.owner == o && t.class == c {
			return t
		}
	}
	t := &tenant[T]{owner: o, class: c}
	l.tenants = append(l.tenants, t)
	return t
}

// floor is what a tenant has been served at least when it joins: as much as the
// least of its rivals; without any, as whoever was served the most.
func (l *Line[T]) floor(t *tenant[T]) int64 {
	least, some := l.sched.service.time.Load(), false
	for _, o := range l.tenants {
		if o.rivals(t) {
			if v := l.level(o); !some || v < least {
				least, some = v, true
			}
		}
	}
	return least
}

// level is how much a tenant's key has been served.
func (l *Line[T]) level(t *tenant[T]) int64 { return l.sched.service.of(t.key) }

// Serve asks for those in line, as far as there is room. place decides, and says
// whether its item has left the line: it was given away, or nobody waits for it
// any more. A pass that was cut short is gone on with.
func (l *Line[T]) Serve(now int64, place func(T) (d Decision, left bool)) {
	l.full, l.crammed = l.full[:0], l.crammed[:0]
	if !l.cut {
		l.sched.recall()
		l.rewind()
	}
	l.Continue(now, place)
}

// Continue asks for those only who joined since the last pass, where nothing
// else has changed.
func (l *Line[T]) Continue(now int64, place func(T) (d Decision, left bool)) {
	l.cut = false
	for looks := 0; ; {
		t := l.turn(now, l.full)
		if t == nil {
			break
		}
		if l.cut = looks == mostLooks; l.cut {
			break
		}
		d, left := l.ask(t, now, place)
		if left {
			continue
		}
		if d.Saturated || t.class.only != nil {
			l.full = append(l.full, t.class)
			continue
		}
		looks++
		if d.Instance != nil {
			d.hold()
		}
	}
	l.tidy()
}

// Relieve gives away, in order, until no more than most are left; place does not
// wait for a better place.
func (l *Line[T]) Relieve(now int64, most int, place func(T) (d Decision, left bool)) {
	for _, t := range l.tenants {
		t.looked = t.next
	}
	l.rewind()
	for l.len > most {
		t := l.turn(now, l.crammed)
		if t == nil {
			break
		}
		if _, left := l.ask(t, now, place); !left {
			l.crammed = append(l.crammed, t.class)
		}
	}
	for _, t := range l.tenants {
		t.next = min(t.looked, len(t.line))
	}
	l.tidy()
}

// Drop takes out the last: of the lowest priority, of who has the most in line,
// of them the one who was served the most, it is the latest.
func (l *Line[T]) Drop() (item T) {
	var last *tenant[T]
	for _, t := range l.tenants {
		if t.len() > 0 && (last == nil || l.behind(t, last)) {
			last = t
		}
	}
	if last == nil {
		return item
	}
	n := len(last.line) - 1
	item = last.line[n].item
	l.leave(last, n)
	return item
}

// rewind begins at the front again.
func (l *Line[T]) rewind() {
	for _, t := range l.tenants {
		t.next = 0
	}
}

// ask asks for a tenant's next.
func (l *Line[T]) ask(t *tenant[T], now int64, place func(T) (Decision, bool)) (Decision, bool) {
	n := t.next
	t.next++
	d, left := place(t.line[n].item) // which may add others
	if left {
		l.leave(t, n)
	}
	if d.Verdict == Picked {
		t.served = now
		l.pace.serve(now)
	}
	return d, left
}

// leave takes one out.
func (l *Line[T]) leave(t *tenant[T], n int) {
	if l.many[t.owner]--; l.many[t.owner] == 0 {
		delete(l.many, t.owner)
	}
	t.leave(n)
	l.len--
}

// Prune takes out whom nobody waits for any more.
func (l *Line[T]) Prune(gone func(T) bool) {
	for _, t := range l.tenants {
		for n := 0; n < len(t.line); n++ {
			if !t.line[n].left && gone(t.line[n].item) {
				l.leave(t, n)
			}
		}
	}
	l.tidy()
}

// tidy forgets tenants who have nobody in line, and gives room back.
func (l *Line[T]) tidy() {
	for _, t := range l.tenants {
		if t.gone > len(t.line)/2 {
			t.compact()
		}
	}
	l.tenants = slices.DeleteFunc(l.tenants, func(t *tenant[T]) bool { return t.len() == 0 })
}

// All yields everybody in line.
func (l *Line[T]) All(yield func(T) bool) {
	for _, t := range l.tenants {
		for i := range t.line {
			if h := &t.line[i]; !h.left && !yield(h.item) {
				return
			}
		}
	}
}

// recall forgets which instances the held ones wait for: they are asked for anew.
func (s *Scheduler) recall() {
	for _, i := range s.Instances() {
		i.row.work.held.Store(0)
		i.row.work.wanted.Store(0)
	}
}

// hold notes that one waits for the instance.
func (d *Decision) hold() {
	d.Instance.row.work.held.Add(int64(d.fresh))
	d.Instance.row.work.wanted.Add(int64(d.fresh) + int64(d.output))
}
