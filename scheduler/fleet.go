package scheduler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// fleet is who belongs to the scheduler. Sources (the configuration, a file,
// DNS, registration) each name a whole list; the union of them, one instance
// for a URL, is the fleet.
type fleet struct {
	mu      sync.Mutex
	sources []source
	all     []*Instance // in order of arrival, with those that are leaving

	running context.Context // of Run; nil: not yet
	keepers sync.WaitGroup

	onGone, onMoved atomic.Pointer[func(*Instance)]

	// How many could be asked for work, and how many of them are out: over
	// half, and it is no longer they who look wrong (panic.go).
	size, out atomic.Int64
}

type source struct {
	name string
	list []InstanceConfig
}

// firstSource is the list that New is given.
const firstSource = "configuration"

// Set replaces the list of one source. Whom no source names any more gets
// nothing new, and goes when its last request of ours has ended. A URL that
// several sources name has the options of the first. On an error, which names
// the instance, the source keeps its old list.
func (s *Scheduler) Set(from string, list []InstanceConfig) error {
	f := &s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.sources, func(o source) bool { return o.name == from })
	sources := slices.Clone(f.sources)
	if at < 0 {
		at = len(sources)
		sources = append(sources, source{name: from})
	}
	sources[at].list = slices.Clone(list)
	wanted, err := s.union(sources)
	if err != nil {
		return err
	}
	f.sources = sources
	s.follow(wanted)
	return nil
}

// union makes one list of all, one entry for each URL, checked.
func (s *Scheduler) union(sources []source) (wanted []InstanceConfig, err error) {
	urls, names := make(map[string]bool), make(map[string]string)
	for _, from := range sources {
		for _, c := range from.list {
			if _, err := s.check(c); err != nil {
				return nil, err
			}
			if urls[c.URL] {
				continue
			}
			if other, taken := names[c.Name]; taken {
				return nil, fmt.Errorf("instance %s: %s has this name already", c.Name, other)
			}
			urls[c.URL], names[c.Name] = true, c.URL
			wanted = append(wanted, c)
		}
	}
	return wanted, nil
}

// follow makes the fleet what is wanted. The caller holds fleet.mu.
func (s *Scheduler) follow(wanted []InstanceConfig) {
	f := &s.fleet
	byURL := make(map[string]options, len(wanted))
	for _, w := range wanted {
		byURL[w.URL] = s.options(w)
	}
	stays := make(map[string]bool, len(f.all))
	for _, i := range f.all {
		o, ok := byURL[i.URL]
		ok = ok && o == i.options && !stays[i.URL]
		stays[i.URL] = stays[i.URL] || ok
		i.drain(drainRemoved, !ok)
	}
	for _, w := range wanted {
		if !stays[w.URL] {
			i := s.newInstance(w)
			f.all = append(f.all, i)
			f.size.Add(1)
			s.keep(i)
		}
	}
	for _, i := range slices.Clone(f.all) {
		if i.Leaving() && !i.kept && i.row.inFlight.Load() == 0 {
			s.depart(i)
		}
	}
	s.publish()
}

// keep starts the instance's keeper, once Run has begun. The caller holds
// fleet.mu.
func (s *Scheduler) keep(i *Instance) {
	f, ctx := &s.fleet, s.fleet.running
	if ctx == nil || i.kept {
		return
	}
	i.kept = true
	f.keepers.Go(func() { newKeeper(s, i).run(ctx) })
}

// departed is the keeper's word that the instance has nothing of ours left, and
// its last act. It says false to one that was wanted again meanwhile.
func (s *Scheduler) departed(i *Instance) bool {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	if !i.Leaving() {
		return false
	}
	s.depart(i)
	s.publish()
	return true
}

// depart strikes i off. The caller holds fleet.mu.
func (s *Scheduler) depart(i *Instance) {
	f := &s.fleet
	f.all = slices.DeleteFunc(f.all, func(o *Instance) bool { return o == i })
	f.size.Add(-1)
	i.leave()
	i.log.Info("instance is gone")
	if gone := f.onGone.Load(); gone != nil {
		(*gone)(i)
	}
}

// publish makes a new snapshot. The caller holds fleet.mu. One that leaves
// gives its name to one that takes its place.
func (s *Scheduler) publish() {
	names := make(map[string]*Instance, len(s.fleet.all))
	for _, i := range s.fleet.all {
		if other := names[i.Name]; other == nil || other.Leaving() {
			names[i.Name] = i
		}
	}
	shown := make([]*Instance, 0, len(names))
	for _, i := range s.fleet.all {
		if names[i.Name] == i {
			shown = append(shown, i)
		}
	}
	s.snapshot.Store(newSnapshot(shown))
	s.free()
}

// republish makes a new snapshot, after an instance said that it serves
// something else.
func (s *Scheduler) republish() {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	s.publish()
}

// OnGone sets what is called when an instance has left for good: nothing of
// ours is in flight there. The callback must not call Set.
func (s *Scheduler) OnGone(f func(*Instance)) { s.fleet.onGone.Store(&f) }

// OnMoved sets what is called when an instance's host name has got another
// address: idle connections lead to the old one.
func (s *Scheduler) OnMoved(f func(*Instance)) { s.fleet.onMoved.Store(&f) }

// Named returns nil for a name that no instance has.
func (s *Scheduler) Named(name string) *Instance {
	for _, i := range s.Instances() {
		if i.Name == name {
			return i
		}
	}
	return nil
}

// Drain keeps new requests from an instance, or lets them come again, as the
// operator says. It returns false for an unknown name.
func (s *Scheduler) Drain(name string, on bool) bool {
	i := s.Named(name)
	if i == nil {
		return false
	}
	i.drain(drainAsked, on)
	return true
}

// Lost says that something beside the instance has lost touch with it: others
// are preferred until a probe, at once, shows that it is well.
func (s *Scheduler) Lost(url string) {
	for _, i := range s.Instances() {
		if i.URL == url {
			i.suspect("its registration lost touch")
		}
	}
}
