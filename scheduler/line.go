package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// Line is who is held, and in which order they are served: by priority, then the
// tenant who has been served least (service.go), then by arrival. Who waits rises
// by one priority each oldest: nobody starves. It belongs to one goroutine.
type Line[T any] struct {
	sched   *Scheduler
	tenants []*tenant[T]
	models  map[string]int // how many ask for each, of those that anybody may serve
	len     int
	full    []string // models that no instance takes now, of this pass
}

const (
	// oldest is how long those of the next higher priority may overtake.
	oldest = 30 * time.Second
	// mostLooks bounds a pass: how many are asked for, and still wait.
	mostLooks = 256
)

// tenant is a key at a priority, and its requests in the order of arrival.
type tenant[T any] struct {
	key, priority int
	line          []held[T]
	head          int // of the line; before it all have left
	next          int // to be looked at in this pass
}

type held[T any] struct {
	item  T
	query *Query
	since int64 // Query.Now
	left  bool
}

// NewLine makes an empty line of the scheduler's.
func NewLine[T any](s *Scheduler) *Line[T] {
	return &Line[T]{sched: s, models: make(map[string]int)}
}

// Len is how many are held.
func (l *Line[T]) Len() int { return l.len }

// Add puts one at its place. The query is its own, and lives as long as it is
// held.
func (l *Line[T]) Add(item T, q *Query, now int64) {
	i := slices.IndexFunc(l.tenants, func(t *tenant[T]) bool { return t.key == q.Key && t.priority == q.Priority })
	if i < 0 {
		l.sched.service.join(q.Key, l.active)
		i = len(l.tenants)
		l.tenants = append(l.tenants, &tenant[T]{key: q.Key, priority: q.Priority})
	}
	l.tenants[i].line = append(l.tenants[i].line, held[T]{item: item, query: q, since: now})
	l.models[q.held()]++
	l.len++
}

// special is the model of those who cannot have any instance that serves theirs.
const special = "\x00"

// held is the model that counts for who is held.
func (q *Query) held() string {
	if q.Only != nil || q.Tried.Len() > 0 {
		return special
	}
	return q.Model
}

// active yields the keys that have somebody in line.
func (l *Line[T]) active(yield func(key int) bool) {
	for _, t := range l.tenants {
		if !yield(t.key) {
			return
		}
	}
}

// Serve asks for those in line, as far as there is room. place decides, and says
// whether its item has left the line: it was given away, or nobody waits for it
// any more.
func (l *Line[T]) Serve(now int64, place func(T) (d Decision, left bool)) {
	l.sched.recall()
	l.full = l.full[:0]
	for _, t := range l.tenants {
		t.next = t.head
	}
	open := l.len
	for looks := 0; open > 0 && looks < mostLooks; {
		t := l.nextTenant(now)
		if t == nil {
			break
		}
		h, n := t.line[t.next], t.next
		t.next++
		d, left := place(h.item) // which may add others
		switch {
		case left:
			open--
			l.leave(t, n)
		case d.Saturated && h.query.held() != special:
			l.full = append(l.full, h.query.Model)
			open -= l.models[h.query.Model]
		default:
			looks++
			if d.Instance != nil {
				d.hold()
			}
		}
	}
	l.tidy()
}

// nextTenant is whose turn it is, with next at one that may be asked for; nil:
// nobody's. First the priority whose turn it is, then who of it was served least.
func (l *Line[T]) nextTenant(now int64) (first *tenant[T]) {
	for _, t := range l.tenants {
		for t.next < len(t.line) && (t.line[t.next].left || slices.Contains(l.full, t.line[t.next].query.held())) {
			t.next++
		}
		if t.next < len(t.line) && (first == nil || t.urgency(now) > first.urgency(now)) {
			first = t
		}
	}
	if first == nil {
		return nil
	}
	for _, t := range l.tenants {
		if t.priority == first.priority && t.next < len(t.line) && l.before(t, first) {
			first = t
		}
	}
	return first
}

// urgency is the priority, and one more for each time that its next has been
// overtaken for as long as oldest.
func (t *tenant[T]) urgency(now int64) float64 {
	return float64(t.priority) + float64(now-t.line[t.next].since)/float64(oldest)
}

// before says whether a's next goes before b's, both of one priority.
func (l *Line[T]) before(a, b *tenant[T]) bool {
	return cmp.Or(cmp.Compare(l.sched.service.of(a.key), l.sched.service.of(b.key)), cmp.Compare(a.line[a.next].since, b.line[b.next].since)) < 0
}

// leave takes one out.
func (l *Line[T]) leave(t *tenant[T], n int) {
	if model := t.line[n].query.held(); l.models[model] == 1 {
		delete(l.models, model)
	} else {
		l.models[model]--
	}
	t.line[n] = held[T]{left: true}
	l.len--
	for t.head < len(t.line) && t.line[t.head].left {
		t.head++
	}
}

// Prune takes out whom nobody waits for any more.
func (l *Line[T]) Prune(gone func(T) bool) {
	for _, t := range l.tenants {
		for n := len(t.line) - 1; n >= t.head; n-- {
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
		if t.head > 64 && t.head > len(t.line)/2 {
			n := copy(t.line, t.line[t.head:])
			clear(t.line[n:])
			t.line, t.head = t.line[:n], 0
		}
	}
	l.tenants = slices.DeleteFunc(l.tenants, func(t *tenant[T]) bool { return t.head == len(t.line) })
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
