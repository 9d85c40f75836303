package scheduler

import (
	"cmp"
	"slices"
	"time"
)

// tenant is who waits in line for the same: an owner's requests of a class, in
// the order of arrival.
type tenant[T any] struct {
	owner
	class  class
	line   []held[T]
	gone   int   // of the line, who have left
	next   int   // to be asked for in this pass
	looked int   // next, while others are asked for out of turn
	served int64 // when one of them was given away last
}

// owner is a key at a priority.
type owner struct{ key, priority int }

// class is what a request can be given to: for those of the same, the same
// instances are full.
type class struct {
	model string
	only  *Instance
	tried Tried
}

type held[T any] struct {
	item  T
	since int64 // Query.Now
	left  bool
}

// oldest is how long those of the next higher priority may overtake.
const oldest = 30 * time.Second

func (t *tenant[T]) len() int { return len(t.line) - t.gone }

// rivals says whether o waits, and what it gets t does not.
func (o *tenant[T]) rivals(t *tenant[T]) bool {
	return o != t && o.len() > 0 && o.priority == t.priority && o.class.model == t.class.model
}

// turn is whose turn it is, with next at one that may be asked for: not of a class
// for which all is full. nil: nobody's.
func (l *Line[T]) turn(now int64, full []class) (first *tenant[T]) {
	for _, t := range l.tenants {
		if t.waits() && !slices.Contains(full, t.class) && (first == nil || l.before(t, first, now)) {
			first = t
		}
	}
	return first
}

// waits says whether somebody is still to be asked for, and leaves next there.
func (t *tenant[T]) waits() bool {
	for t.next < len(t.line) && t.line[t.next].left {
		t.next++
	}
	return t.next < len(t.line)
}

// before says whether a's next goes before b's.
func (l *Line[T]) before(a, b *tenant[T], now int64) bool {
	return cmp.Or(cmp.Compare(b.rank(now), a.rank(now)), cmp.Compare(l.level(a), l.level(b)), cmp.Compare(a.line[a.next].since, b.line[b.next].since)) < 0
}

// rank is the priority, and one more for each time that the next has waited for
// oldest without that one of its tenant's had its turn.
func (t *tenant[T]) rank(now int64) int64 {
	return int64(t.priority) + max(now-max(t.line[t.next].since, t.served), 0)/int64(oldest)
}

// behind says whether a's last stands behind b's.
func (l *Line[T]) behind(a, b *tenant[T]) bool {
	return cmp.Or(
		cmp.Compare(b.priority, a.priority), cmp.Compare(l.many[a.owner], l.many[b.owner]),
		cmp.Compare(l.level(a), l.level(b)), cmp.Compare(a.line[len(a.line)-1].since, b.line[len(b.line)-1].since),
	) > 0
}

// leave takes one out; the last place is always somebody's.
func (t *tenant[T]) leave(n int) {
	t.line[n] = held[T]{left: true}
	t.gone++
	for n := len(t.line); n > 0 && t.line[n-1].left; n-- {
		t.line = t.line[:n-1]
		t.gone--
	}
	t.next = min(t.next, len(t.line))
}

// compact closes the gaps.
func (t *tenant[T]) compact() {
	kept, next := t.line[:0], 0
	for n, h := range t.line {
		if !h.left {
			kept = append(kept, h)
			if n < t.next {
				next++
			}
		}
	}
	clear(t.line[len(kept):])
	t.line, t.next, t.gone = kept, next, 0
}
