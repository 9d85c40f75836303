package bpf

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

var errFull = errors.New("every row is taken, by an address that is tracked or by connections that are still open")

// addresses gives rows to addresses and counts who tracks them.
//
//	free ──Track──▶ tracked ──last Untrack──▶ parked ──idle, and needed──▶ free
//	                   ◀──────────Track──────────┘
//
// A parked row keeps its address and its counts until another address needs
// it: an instance that comes back goes on where it was.
type addresses struct {
	mu     sync.Mutex
	byAddr map[netip.AddrPort]*place
	byRow  []*place
	next   int      // rows from here on were never given away
	parked []*place // oldest first
	store  store

	// Of each row, for whoever hears events: mu may be held over system calls.
	generations []atomic.Uint32
}

// place is a row and the address that has it.
type place struct {
	addr       netip.AddrPort
	row        uint32
	generation uint32
	refs       int
}

// store is where a rung keeps which address has which row.
type store interface {
	put(p *place) error     // from now on connections to p.addr count in p.row
	drop(p *place) error    // from now on they do not
	reset(p *place) error   // zeroes the row, for p.generation
	idle(row uint32) bool   // no connection refers to the row
	heard(row uint32) int64 // when anything last happened there, CLOCK_MONOTONIC; 0: never

	// borrow tells of the places that other processes gave away, and keeps
	// them from giving away another until giveBack. A store of our own has none.
	borrow(each func(place)) (giveBack func(), err error)
	shared() bool
}

func newAddresses(rows int, s store) *addresses {
	return &addresses{
		byAddr:      make(map[netip.AddrPort]*place),
		byRow:       make([]*place, rows),
		store:       s,
		generations: make([]atomic.Uint32, rows),
	}
}

// canonical makes one address of IPv4 and IPv4-mapped, of any zone.
func canonical(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func (t *addresses) track(addr netip.AddrPort) (int, error) {
	if !addr.IsValid() || addr.Port() == 0 {
		return -1, fmt.Errorf("tracking %v: not an address with a port", addr)
	}
	addr = canonical(addr)
	t.mu.Lock()
	defer t.mu.Unlock()
	p, err := t.find(addr)
	if err != nil {
		return -1, fmt.Errorf("tracking %v: %w", addr, err)
	}
	p.refs++
	return int(p.row), nil
}

// find returns the place of addr, which is a new one where need be.
func (t *addresses) find(addr netip.AddrPort) (*place, error) {
	if p := t.byAddr[addr]; p != nil {
		if p.refs > 0 || t.store.shared() {
			return p, nil
		}
		if err := t.store.put(p); err != nil {
			return nil, err
		}
		t.unpark(p)
		return p, nil
	}
	giveBack, err := t.store.borrow(t.adopt)
	if err != nil {
		return nil, err
	}
	defer giveBack()
	if p := t.byAddr[addr]; p != nil { // another process's
		return p, nil
	}
	return t.place(addr)
}

// place gives addr a row: one that nobody had, else the one parked longest.
func (t *addresses) place(addr netip.AddrPort) (*place, error) {
	p := &place{addr: addr, generation: 1}
	for t.next < len(t.byRow) && t.byRow[t.next] != nil {
		t.next++
	}
	var old *place
	if t.next < len(t.byRow) {
		p.row = uint32(t.next)
	} else if old = cmp.Or(t.longestParked(), t.longestSilent()); old != nil {
		p.row, p.generation = old.row, old.generation+1
	} else {
		return nil, errFull
	}
	if old != nil && t.store.shared() { // a parked one was dropped when it was
		if err := t.store.drop(old); err != nil {
			return nil, err
		}
	}
	if err := t.store.reset(p); err != nil {
		return nil, err
	}
	t.generations[p.row].Store(p.generation)
	if old != nil {
		old.generation = p.generation // stays true should put fail: the row is old's, and empty
	}
	if err := t.store.put(p); err != nil {
		return nil, err
	}
	if old != nil {
		t.unpark(old)
		delete(t.byAddr, old.addr)
	}
	t.byAddr[addr], t.byRow[p.row] = p, p
	return p, nil
}

// adopt takes over a place that another process made.
func (t *addresses) adopt(p place) {
	if t.byAddr[p.addr] == nil && int(p.row) < len(t.byRow) {
		t.byAddr[p.addr], t.byRow[p.row] = &p, &p
		t.generations[p.row].Store(p.generation)
	}
}

func (t *addresses) longestParked() *place {
	for _, p := range t.parked {
		if t.store.idle(p.row) {
			return p
		}
	}
	return nil
}

// longestSilent is, of shared places, which are never parked, the one that
// nobody of this process has and that was heard longest ago, a while at least.
func (t *addresses) longestSilent() (found *place) {
	if !t.store.shared() {
		return nil
	}
	oldest := Now() - int64(silentFor)
	for _, p := range t.byRow {
		if p != nil && p.refs == 0 && t.store.idle(p.row) && t.store.heard(p.row) < oldest {
			found, oldest = p, t.store.heard(p.row)
		}
	}
	return found
}

// silentFor is how long a shared place must have been silent for its row to be
// given away: who tracks it in another process would read another's counters.
const silentFor = 10 * time.Minute

func (t *addresses) unpark(p *place) {
	for i := range t.parked {
		if t.parked[i] == p {
			t.parked = append(t.parked[:i], t.parked[i+1:]...)
			return
		}
	}
}

func (t *addresses) untrack(row int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if row < 0 || row >= len(t.byRow) || t.byRow[row] == nil || t.byRow[row].refs == 0 {
		return fmt.Errorf("row %d is not tracked", row)
	}
	p := t.byRow[row]
	p.refs--
	if p.refs > 0 || t.store.shared() {
		return nil // who else counts on a shared place is not known here
	}
	t.parked = append(t.parked, p)
	return t.store.drop(p)
}

// current tells whether a row is still that of this generation's address.
func (t *addresses) current(row, generation uint32) bool {
	return int(row) < len(t.generations) && t.generations[row].Load() == generation
}

// noStore is for rungs that keep nothing in the kernel.
type noStore struct{}

func (noStore) put(*place) error                   { return nil }
func (noStore) drop(*place) error                  { return nil }
func (noStore) reset(*place) error                 { return nil }
func (noStore) idle(uint32) bool                   { return true }
func (noStore) heard(uint32) int64                 { return 0 }
func (noStore) borrow(func(place)) (func(), error) { return func() {}, nil }
func (noStore) shared() bool                       { return false }
