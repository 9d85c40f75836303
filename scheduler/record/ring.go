package record

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Ring has the last decisions, as many as it has slots.
//
// Who takes an entry out of its slot owns it, until he puts it back: a writer to
// fill it anew, a reader to copy it. So nobody ever waits, an entry is plain
// memory, and all that can happen is that a reader finds nothing for a moment, or
// that a writer needs a new entry because a reader has the old one.
type Ring struct {
	whole   bool
	keys    []string
	head    atomic.Uint64 // decisions so far: the number of the last
	slots   []slot
	reading sync.Mutex // one reader at a time: a second would find nothing
}

type slot struct {
	entry atomic.Pointer[Entry]
	first atomic.Uint64 // the first byte of the answer: 24 bits of the decision's number, 40 of µs

	socket atomic.Pointer[Socket] // of the request, if it became one; its seq says of which
}

// Entry is a decision that is being written. What belongs to the request is
// copied.
type Entry struct {
	Decision
	id, model text
}

// text is a string's copy in memory of its own.
type text struct {
	n     int
	bytes [mostText]byte
}

func (t *text) set(s string) { t.n = copy(t.bytes[:], s) }
func (t *text) String() string {
	return string(t.bytes[:t.n])
}

const (
	// Slots are as many as people look back on; a Recorder wants RecorderSlots:
	// that is how far it may fall behind.
	Slots         = 1 << 10
	RecorderSlots = 1 << 13

	timeBits = 40
	// never stands for a first byte that does not come.
	never = 1<<timeBits - 1
)

// NewRing makes one of so many slots, a power of two. keys are the names of
// Query.Key. With whole, what is to be recorded is predicted for all candidates,
// though the policy may not ask for it.
func NewRing(slots int, keys []string, whole bool) *Ring {
	r := &Ring{whole: whole, keys: keys, slots: make([]slot, slots)}
	entries := make([]Entry, slots)
	for n := range r.slots {
		r.slots[n].entry.Store(&entries[n])
	}
	return r
}

// Whole says whether predictions are wanted of all candidates.
func (r *Ring) Whole() bool { return r != nil && r.whole }

// Most is how many candidates a decision is to keep.
func (r *Ring) Most() int {
	if r.whole {
		return MostCandidates
	}
	return fewCandidates
}

func (r *Ring) at(seq uint64) *slot { return &r.slots[seq&uint64(len(r.slots)-1)] }

// Begin takes the oldest entry, to be filled in and given to Put.
func (r *Ring) Begin(id, model string, key int) *Entry {
	seq := r.head.Add(1)
	e := r.at(seq).entry.Swap(nil)
	if e == nil { // somebody reads it
		e = new(Entry)
	}
	e.Decision = Decision{Seq: seq, Time: time.Now(), Candidates: e.Candidates[:0], key: key}
	e.id.set(id)
	e.model.set(model)
	return e
}

// Add adds a candidate. Its memory is another's: all of it is to be filled in.
func (e *Entry) Add() *Candidate {
	n := len(e.Candidates)
	if n == cap(e.Candidates) {
		e.Candidates = slices.Grow(e.Candidates, 4)
	}
	e.Candidates = e.Candidates[:n+1]
	return &e.Candidates[n]
}

// Put publishes the entry, and returns its number.
func (r *Ring) Put(e *Entry) uint64 {
	seq := e.Seq
	s := r.at(seq)
	s.first.Store(seq << timeBits)
	s.entry.Store(e)
	return seq
}

// First notes how long after the decision the answer began; negative: it never
// will. Only the first word counts.
func (r *Ring) First(seq uint64, after time.Duration) {
	if seq == 0 {
		return
	}
	us := uint64(never)
	if after >= 0 {
		us = uint64(min(max(after.Microseconds(), 1), never-1))
	}
	r.at(seq).first.CompareAndSwap(seq<<timeBits, seq<<timeBits|us)
}

// answered is what is known of the first byte: µs, 0 for nothing yet, never.
func (r *Ring) answered(seq uint64) uint64 {
	v := r.at(seq).first.Load()
	if v>>timeBits != seq<<timeBits>>timeBits {
		return 0
	}
	return v & never
}

// look calls f with the entry of that number, if it is there.
func (r *Ring) look(seq uint64, f func(*Entry)) (found bool) {
	r.reading.Lock()
	defer r.reading.Unlock()
	s := r.at(seq)
	e := s.entry.Swap(nil)
	if e == nil {
		return false
	}
	if found = e.Seq == seq; found {
		f(e)
	}
	s.entry.CompareAndSwap(nil, e)
	return found
}

// copy is the entry as it may leave the ring.
func (r *Ring) copy(e *Entry) Decision {
	d := e.Decision
	d.RequestID, d.Model, d.Candidates = e.id.String(), e.model.String(), append([]Candidate{}, e.Candidates...)
	if d.key > 0 && d.key < len(r.keys) {
		d.Key = r.keys[d.key]
	}
	d.Socket = r.socketOf(d.Seq)
	switch us := r.answered(d.Seq); {
	case us == 0, d.Socket != nil: // which has no tokens
	case us == never:
		d.Unanswered = true
	default:
		d.Actual = float32(us) / 1e3
	}
	d.tidy()
	return d
}

// Last are the latest n, the newest first.
func (r *Ring) Last(n int) []Decision {
	return r.pick(n, func(*Entry) bool { return true })
}

// Of are the decisions of a request, the newest first.
func (r *Ring) Of(id string) []Decision {
	return r.pick(len(r.slots), func(e *Entry) bool { return string(e.id.bytes[:e.id.n]) == id })
}

func (r *Ring) pick(n int, wanted func(*Entry) bool) (list []Decision) {
	head := r.head.Load()
	for back := range min(head, uint64(len(r.slots))) {
		if len(list) == n {
			break
		}
		r.look(head-back, func(e *Entry) {
			if wanted(e) {
				list = append(list, r.copy(e))
			}
		})
	}
	return list
}

// Reach is how many decisions there are to look back on, and when the oldest of
// them was.
func (r *Ring) Reach() (n int, oldest time.Time) {
	head := r.head.Load()
	n = int(min(head, uint64(len(r.slots))))
	for seq := head - uint64(n) + 1; seq <= head; seq++ {
		if r.look(seq, func(e *Entry) { oldest = e.Time }) {
			break
		}
	}
	return n, oldest
}
