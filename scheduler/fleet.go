package scheduler

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"penstock/scheduler/engine"
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

	drains  []Drained                     // what the operator drains, the oldest first
	lost    map[string]bool               // URLs whose registration lost touch
	told    map[*Instance]*[]engine.Model // what sources say that they serve
	cut     map[*Instance]bool            // names more models than are known, and that was said
	leftOut map[string]bool               // entries whose name another has, that was said

	connect connector // nil: over the network

	onGone, onMoved atomic.Pointer[func(*Instance)]

	// How many could be asked for work, and how many of them are out: over
	// half, and it is no longer they who look wrong (panic.go).
	size, out atomic.Int64
	absent    atomic.Int64 // how many are out, or not ready
}

// Set replaces the list of one source. Whom no source names any more gets
// nothing new, and goes when its last request of ours has ended. A URL that
// several sources name has the options of the strongest (configuration, file,
// dns, registration); an entry whose name a stronger source gives to another URL
// is left out, and comes in when that one goes. On an error, which names the
// instance, the source keeps its old list.
func (s *Scheduler) Set(from string, list []InstanceConfig) error {
	list = slices.Clone(list)
	for n := range list {
		list[n].URL = CanonicalURL(list[n].URL)
	}
	if err := s.checkList(list); err != nil {
		return err
	}
	f := &s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	at := slices.IndexFunc(f.sources, func(o source) bool { return o.name == from })
	if at < 0 {
		f.sources = append(f.sources, source{name: from})
		slices.SortStableFunc(f.sources, func(a, b source) int { return a.rank() - b.rank() })
		at = slices.IndexFunc(f.sources, func(o source) bool { return o.name == from })
	}
	old := f.sources[at]
	f.sources[at].list = list
	for url := range f.lost {
		if old.names(url) && !f.sources[at].names(url) { // it has ended
			delete(f.lost, url)
		}
	}
	s.follow(s.union())
	return nil
}

// follow makes the fleet what is wanted. The caller holds fleet.mu.
func (s *Scheduler) follow(wanted []InstanceConfig) {
	f := &s.fleet
	if f.told == nil {
		f.told, f.cut, f.lost = make(map[*Instance]*[]engine.Model), make(map[*Instance]bool), make(map[string]bool)
	}
	byURL := make(map[string]*InstanceConfig, len(wanted))
	for n := range wanted {
		byURL[wanted[n].URL] = &wanted[n]
	}
	stays := make(map[string]bool, len(f.all))
	for _, i := range f.all {
		w := byURL[i.URL]
		ok := w != nil && s.options(*w) == i.options && !stays[i.URL]
		stays[i.URL] = stays[i.URL] || ok
		if i.wanted = ok; ok {
			i.drain(drainRemoved, false)
			f.tell(i, w.Models)
		}
	}
	for _, w := range wanted {
		if !stays[w.URL] {
			i := s.newInstance(w)
			i.wanted = true
			f.all = append(f.all, i)
			f.told[i] = i.models.Load()
			i.drain(drainAsked, f.isDrained(i))
			s.keep(i)
		}
	}
	s.publish() // before the others drain: a decision must find somebody
	before := len(f.all)
	for _, i := range slices.Clone(f.all) {
		if i.wanted {
			continue
		}
		i.drain(drainRemoved, true)
		if !i.kept && i.row.inFlight.Load() == 0 {
			s.depart(i)
		}
	}
	if len(f.all) != before {
		s.publish()
	}
	maps.DeleteFunc(f.lost, func(url string, _ bool) bool { return byURL[url] == nil })
	s.settle()
}

// tell takes what a source says that i serves. It holds until the instance says
// so itself; one that has is asked again. The caller holds fleet.mu.
func (f *fleet) tell(i *Instance, ids []string) {
	old := f.told[i]
	if slices.EqualFunc(served(old), ids, func(m engine.Model, id string) bool { return m.ID == id }) {
		return
	}
	var models *[]engine.Model
	if len(ids) > 0 {
		list := make([]engine.Model, len(ids))
		for n, id := range ids {
			list[n].ID = id
		}
		models = &list
	}
	f.told[i] = models
	if !i.models.CompareAndSwap(old, models) {
		i.AskModels()
	}
}

func served(models *[]engine.Model) []engine.Model {
	if models == nil {
		return nil
	}
	return *models
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
	if !i.Leaving() || i.row.inFlight.Load() > 0 { // it was wanted again, for a while at least
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
	delete(f.told, i)
	delete(f.cut, i)
	i.leave()
	s.closeCache(i)
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
		if other := names[i.Name]; other == nil || !other.wanted {
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
	for _, i := range s.fleet.all {
		if cut := engine.IsCut(served(i.models.Load())); cut != s.fleet.cut[i] {
			if s.fleet.cut[i] = cut; cut {
				i.log.Warn("the engine lists more models than are known; who asks for another gets 404", "known", len(*i.models.Load()))
			}
		}
	}
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
