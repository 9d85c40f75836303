package dataplane

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"penstock/scheduler"
)

// stations are the stations of the fleet, which changes while requests run.
// Readers see one published table; a change publishes another.
type stations struct {
	make func(*scheduler.Instance) *station

	mu    sync.Mutex // over changes
	table atomic.Pointer[stationTable]
	spare *station // for who waits with no instance in sight
}

type stationTable struct {
	of   map[*scheduler.Instance]*station
	list []*station // the spare one first
}

func newStations(make func(*scheduler.Instance) *station) *stations {
	s := &stations{make: make, spare: make(new(scheduler.Instance))}
	s.table.Store(&stationTable{list: []*station{s.spare}})
	return s
}

// all are those that there are now, the spare one too.
func (s *stations) all() []*station { return s.table.Load().list }

// of returns the instance's station, a new one at its first request. A decision
// that names no instance has the spare one.
func (s *stations) of(i *scheduler.Instance) *station {
	if i == nil {
		return s.spare
	}
	if st := s.table.Load().of[i]; st != nil {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table.Load()
	if st := old.of[i]; st != nil {
		return st
	}
	st := s.make(i)
	if i.Leaving() { // it may have left already: nobody would take this one out of the table
		st.gone.Store(true)
		st.warm.shut()
		return st
	}
	of := maps.Clone(old.of)
	if of == nil {
		of = map[*scheduler.Instance]*station{}
	}
	of[i] = st
	s.table.Store(&stationTable{of: of, list: append(slices.Clip(old.list), st)})
	return st
}

// look is of for who only reads: an instance that has no station, or none any
// more, gets none by it.
func (s *stations) look(i *scheduler.Instance) *station {
	if st := s.table.Load().of[i]; st != nil {
		return st
	}
	return &station{inst: i, warm: new(warm)}
}

// drop takes out the station of an instance that has left, and closes its
// connections. Whoever still has it may finish.
func (s *stations) drop(i *scheduler.Instance) *station {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.table.Load()
	st := old.of[i]
	if st == nil {
		return nil
	}
	st.gone.Store(true)
	of := maps.Clone(old.of)
	delete(of, i)
	list := slices.DeleteFunc(slices.Clone(old.list), func(o *station) bool { return o == st })
	s.table.Store(&stationTable{of: of, list: list})
	st.warm.shut()
	return st
}
