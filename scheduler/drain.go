package scheduler

import (
	"slices"

	"penstock/scheduler/engine"
)

// Why an instance gets nothing new, bits of Instance.draining.
const (
	drainAsked   = 1 << iota // the operator wants it
	drainRemoved             // no source names it any more
	drainLost                // what registered it lost touch, and may be back in a moment
)

const lostTouch = "its registration lost touch"

// spareDrains is how many drains are kept of instances that are not there.
const spareDrains = 256

// Drained is what the operator drains. It outlives the instance: one of this
// name or at this URL that comes later drains from the start.
type Drained struct{ Name, URL string }

// Drain keeps new requests from an instance, or lets them come again, as the
// operator says. It returns false for a name that no instance has, and no drain.
func (s *Scheduler) Drain(name string, on bool) bool {
	f := &s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	i := s.Named(name)
	is := func(d Drained) bool { return d.Name == name || i != nil && d.URL == i.URL }
	switch known := slices.ContainsFunc(f.drains, is); {
	case i == nil && (on || !known):
		return false
	case !on:
		f.drains = slices.DeleteFunc(f.drains, is)
	default:
		f.drains = append(slices.DeleteFunc(f.drains, is), Drained{name, i.URL})
		s.forgetDrains()
	}
	for _, o := range f.all {
		o.drain(drainAsked, f.isDrained(o))
	}
	return true
}

// Drains are what the operator drains, the oldest first.
func (s *Scheduler) Drains() []Drained {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	return slices.Clone(s.fleet.drains)
}

// isDrained says whether the operator drains i. The caller holds fleet.mu.
func (f *fleet) isDrained(i *Instance) bool {
	return slices.ContainsFunc(f.drains, func(d Drained) bool { return d.is(i) })
}

func (d Drained) is(i *Instance) bool { return d.Name == i.Name || d.URL == i.URL }

// forgetDrains bounds how many are remembered: the oldest that no instance has
// goes. The caller holds fleet.mu.
func (s *Scheduler) forgetDrains() {
	f := &s.fleet
	if len(f.drains) <= len(f.all)+spareDrains {
		return
	}
	gone := func(d Drained) bool { return !slices.ContainsFunc(f.all, d.is) }
	at := max(slices.IndexFunc(f.drains, gone), 0)
	s.log.Warn("a drain is forgotten: there are too many of instances that are gone", "instance", f.drains[at].Name, "url", f.drains[at].URL)
	f.drains = slices.Delete(f.drains, at, at+1)
}

// Lost says that what registered an instance has lost touch with it. Either may
// have died: the instance is looked at at once, and gets nothing new meanwhile
// where others can take it, until Found says that it is well or its source lets
// it go.
func (s *Scheduler) Lost(url string) {
	f := &s.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	url = CanonicalURL(url)
	for _, i := range f.all {
		if i.URL == url && i.wanted {
			f.lost[url] = true
			i.suspect(lostTouch)
		}
	}
	s.settle()
}

// Found takes Lost back.
func (s *Scheduler) Found(url string) {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	delete(s.fleet.lost, CanonicalURL(url))
	s.settle()
}

// settle drains whose registration lost touch. Where that is more than half of
// all, it is rather the network between them: nobody drains for it. The caller
// holds fleet.mu.
func (s *Scheduler) settle() {
	f := &s.fleet
	wanted := 0
	for _, i := range f.all {
		if i.wanted {
			wanted++
		}
	}
	few := 2*len(f.lost) <= wanted
	for _, i := range f.all {
		i.drain(drainLost, few && i.wanted && f.lost[i.URL] && f.named(i.URL) == 1 && s.replaceable(i))
	}
}

// named is how many sources name the URL. The caller holds fleet.mu.
func (f *fleet) named(url string) (n int) {
	for _, from := range f.sources {
		if from.names(url) {
			n++
		}
	}
	return n
}

// replaceable says whether others can take what i serves.
func (s *Scheduler) replaceable(i *Instance) bool {
	snap := s.snapshot.Load()
	others := func(model string) bool {
		list, _ := snap.serving(model, 0)
		return slices.ContainsFunc(list, func(o *Instance) bool { return o.URL != i.URL && o.routable() })
	}
	models := i.models.Load()
	if models == nil {
		return others("")
	}
	return !slices.ContainsFunc(*models, func(m engine.Model) bool { return !others(m.ID) })
}

// drain sets or lifts one reason. What is in flight goes on.
func (i *Instance) drain(why uint32, on bool) {
	h := &i.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if on == (i.draining.Load()&why != 0) {
		return
	}
	was := i.State()
	if on {
		i.draining.Or(why)
	} else {
		i.draining.And(^why)
	}
	i.count()
	if now := i.State(); now != was {
		h.record(was, now, i.drainReason())
		i.log.Info("instance is "+now.String(), "reason", i.drainReason())
	}
	i.wake()
	i.free()
}

// Leaving says whether the instance goes once it has nothing of ours.
func (i *Instance) Leaving() bool { return i.draining.Load()&drainRemoved != 0 }

func (i *Instance) drainReason() string {
	switch why := i.draining.Load(); {
	case why&drainRemoved != 0:
		return "no source names it any more"
	case why&drainAsked != 0:
		return "the operator drains it"
	case why&drainLost != 0:
		return lostTouch
	}
	return ""
}

// leave takes the instance out of the fleet's numbers, for good.
func (i *Instance) leave() {
	h := &i.health
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gone = true
	i.count()
}
