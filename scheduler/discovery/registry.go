package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// graceFor is how long a registration outlives its connection. Who lives
	// notices within a second that the connection is gone, and is back; until
	// then the scheduler prefers others.
	graceFor = 2 * time.Second
	// retryEvery is how soon again the end of a registration is tried that the
	// scheduler refuses.
	retryEvery = time.Second
	// MaxRegistrations bounds the registry.
	MaxRegistrations = 4096
	// maxOwners bounds who keeps one registration: of one more, the one that is
	// to end first ends now.
	maxOwners = 8
)

// ErrRegistryFull is what one registration too many gets.
var ErrRegistryFull = fmt.Errorf("there are %d registrations already", MaxRegistrations)

// ErrNameTaken is what a registration gets whose name another URL has.
var ErrNameTaken = errors.New("another instance is registered under this name")

// Registry is the instances that registered themselves. Each stays for TTL
// after its last word, or as long as the connection that it keeps open for it.
// Several may keep one of them, by an id of their own each.
type Registry struct {
	TTL   time.Duration
	Set   Set
	Lost  func(url string) // the registration's connection ended; not nil, called with the registry's lock
	Found func(url string) // it is renewed after that; the same
	Log   *slog.Logger

	mu      sync.Mutex
	entries []*registration // in order of arrival
	changed chan struct{}   // made by Run

	standing standing
}

// Status is how registration stands: well, unless the scheduler refuses the list.
func (r *Registry) Status() Status {
	s := r.standing.show("registration", "")
	s.Up = s.Error == ""
	return s
}

// registration is one entry. Registry.mu guards it.
type registration struct {
	target Target
	owners []owner // one at least
}

// owner is who keeps a registration.
type owner struct {
	id      string // "": did not say
	expires time.Time
	conn    any  // what it lives by, nil: time alone
	lost    bool // that has ended, and nothing followed it
}

// lost says whether all that kept the registration lost touch.
func (e *registration) lost() bool {
	return !slices.ContainsFunc(e.owners, func(o owner) bool { return !o.lost })
}

// with is the entry's owners after o came, or came again.
func (e *registration) with(o owner) []owner {
	owners := slices.DeleteFunc(slices.Clone(e.owners), func(old owner) bool { return old.id == o.id })
	if len(owners) == maxOwners {
		first := slices.MinFunc(owners, func(a, b owner) int { return a.expires.Compare(b.expires) })
		owners = slices.DeleteFunc(owners, func(old owner) bool { return old.id == first.id })
	}
	return append(owners, o)
}

// Put registers a target or renews it, for the owner of that id ("": nobody in
// particular); conn, if not nil, is the connection whose end ends it (Dropped).
// It says whether the target is new. An error is about the target.
func (r *Registry) Put(t Target, id string, conn any) (fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.entries, func(e *registration) bool { return e.target.Name == t.Name && e.target.URL != t.URL }) {
		return false, ErrNameTaken
	}
	keeps := owner{id: id, expires: time.Now().Add(r.TTL), conn: conn}
	at := slices.IndexFunc(r.entries, func(e *registration) bool { return e.target.URL == t.URL })
	if fresh = at < 0; fresh {
		if len(r.entries) >= MaxRegistrations {
			return false, ErrRegistryFull
		}
		if err := r.set(append(slices.Clone(r.entries), &registration{t, []owner{keeps}})); err != nil {
			return false, err
		}
		r.Log.Info("instance registered", "instance", t.Name, "url", t.URL)
		r.wake()
		return true, nil
	}
	old := r.entries[at]
	if !same(old.target, t) {
		entries := slices.Clone(r.entries)
		entries[at] = &registration{t, old.owners}
		if err := r.set(entries); err != nil {
			return false, err
		}
	}
	if old.lost() {
		r.Found(t.URL)
	}
	r.entries[at].owners = old.with(keeps)
	r.wake()
	return false, nil
}

func same(a, b Target) bool {
	return a.Name == b.Name && a.Engine == b.Engine && a.APIKey == b.APIKey && a.MaxInFlight == b.MaxInFlight && slices.Equal(a.Models, b.Models)
}

// Delete takes a registration back. With an owner's id it ends that owner's
// part: the registration stays while others keep it. It returns false for a name
// that none has, and for an owner who keeps none of it.
func (r *Registry) Delete(name, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.end("it said so", func(e *registration, o owner) bool {
		return e.target.Name == name && (id == "" || o.id == id)
	})
}

// Dropped says that a connection has ended. What was registered over it, and
// nowhere since, is looked at at once, and goes in a moment.
func (r *Registry) Dropped(conn any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	soon := time.Now().Add(graceFor)
	for _, e := range r.entries {
		was := e.lost()
		for n := range e.owners {
			if o := &e.owners[n]; o.conn == conn {
				o.conn, o.lost = nil, true
				if o.expires.After(soon) {
					o.expires = soon
				}
			}
		}
		if e.lost() && !was {
			r.Lost(e.target.URL)
		}
	}
	r.wake()
}

// Run ends registrations as their time is over, until ctx ends.
func (r *Registry) Run(ctx context.Context) error {
	r.mu.Lock()
	r.changed = make(chan struct{}, 1)
	r.mu.Unlock()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.changed:
		case <-alarm.C:
		}
		alarm.Reset(r.expire(time.Now()))
	}
}

// expire ends what is over, and returns how long the rest lasts.
func (r *Registry) expire(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end("its connection ended", func(_ *registration, o owner) bool { return o.lost && !now.Before(o.expires) })
	r.end("nothing was heard of it", func(_ *registration, o owner) bool { return !now.Before(o.expires) })
	next := now.Add(r.TTL)
	for _, e := range r.entries {
		for _, o := range e.owners {
			if !now.Before(o.expires) { // its end is refused
				return retryEvery
			}
			if o.expires.Before(next) {
				next = o.expires
			}
		}
	}
	return next.Sub(now)
}

// end takes away the owners that over says, and the registrations that nobody
// keeps then. It says whether there were any. The caller holds mu.
func (r *Registry) end(why string, over func(*registration, owner) bool) (any bool) {
	var entries []*registration
	var gone []Target
	for _, e := range r.entries {
		rest := slices.DeleteFunc(slices.Clone(e.owners), func(o owner) bool { return over(e, o) })
		switch {
		case len(rest) == 0:
			gone = append(gone, e.target)
		case len(rest) < len(e.owners):
			any = true
			was := e.lost()
			if e.owners = rest; e.lost() && !was {
				r.Lost(e.target.URL)
			}
			fallthrough
		default:
			entries = append(entries, e)
		}
	}
	if gone == nil {
		return any
	}
	for _, t := range gone { // before what comes of it
		r.Log.Info("registration is over", "instance", t.Name, "reason", why)
	}
	if err := r.set(entries); err != nil {
		if say, lasted := r.standing.failed(err.Error(), time.Now()); say {
			r.Log.Error("registrations are kept as they were", "for", lasted, "err", err)
		}
		return any
	}
	return true
}

// set hands the list on, and keeps it if it is taken. The caller holds mu.
func (r *Registry) set(entries []*registration) error {
	list := make([]Target, len(entries))
	for n, e := range entries {
		list[n] = e.target
	}
	if err := r.Set(list); err != nil {
		return err
	}
	r.entries = entries
	r.standing.well(len(entries))
	return nil
}

func (r *Registry) wake() {
	if r.changed == nil {
		return
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
}
