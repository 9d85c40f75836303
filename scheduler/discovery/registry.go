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
	// graceFor is how long a registration outlives its connection: a new one
	// may follow at once.
	graceFor = 250 * time.Millisecond
	// MaxRegistrations bounds the registry.
	MaxRegistrations = 4096
)

// ErrRegistryFull is what one registration too many gets.
var ErrRegistryFull = fmt.Errorf("there are %d registrations already", MaxRegistrations)

// ErrNameTaken is what a registration gets whose name another URL has.
var ErrNameTaken = errors.New("another instance is registered under this name")

// Registry is the instances that registered themselves. Each stays for TTL
// after its last word, or as long as the connection that it keeps open for it.
type Registry struct {
	TTL  time.Duration
	Set  Set
	Lost func(url string) // the registration's connection ended; not nil
	Log  *slog.Logger

	mu      sync.Mutex
	entries []*registration // in order of arrival
	changed chan struct{}   // made by Run
}

// registration is one entry. Registry.mu guards it.
type registration struct {
	target  Target
	expires time.Time
	conn    any // what the registration lives by, nil: time alone
}

// Put registers a target or renews it; conn, if not nil, is the connection whose
// end ends it (Dropped). It says whether the target is new. An error is about
// the target.
func (r *Registry) Put(t Target, conn any) (fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := slices.IndexFunc(r.entries, func(e *registration) bool { return e.target.URL == t.URL })
	if slices.ContainsFunc(r.entries, func(e *registration) bool { return e.target.Name == t.Name && e.target.URL != t.URL }) {
		return false, ErrNameTaken
	}
	expires := time.Now().Add(r.TTL)
	if at >= 0 && same(r.entries[at].target, t) {
		r.entries[at].expires, r.entries[at].conn = expires, conn
		return false, nil
	}
	entries := slices.Clone(r.entries)
	if fresh = at < 0; fresh {
		if len(entries) >= MaxRegistrations {
			return false, ErrRegistryFull
		}
		entries = append(entries, &registration{t, expires, conn})
	} else {
		entries[at] = &registration{t, expires, conn}
	}
	if err := r.set(entries); err != nil {
		return false, err
	}
	if fresh {
		r.Log.Info("instance registered", "instance", t.Name, "url", t.URL)
	}
	r.wake()
	return fresh, nil
}

func same(a, b Target) bool {
	return a.Name == b.Name && a.Engine == b.Engine && a.APIKey == b.APIKey && a.MaxInFlight == b.MaxInFlight && slices.Equal(a.Models, b.Models)
}

// Delete ends a registration. It returns false for a name that none has.
func (r *Registry) Delete(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drop("it said so", func(e *registration) bool { return e.target.Name == name }) > 0
}

// Dropped says that a connection has ended. What was registered over it, and
// nowhere since, is looked at at once, and goes in a moment.
func (r *Registry) Dropped(conn any) {
	r.mu.Lock()
	var lost []string
	soon := time.Now().Add(graceFor)
	for _, e := range r.entries {
		if e.conn == conn {
			e.conn = nil
			if e.expires.After(soon) {
				e.expires = soon
			}
			lost = append(lost, e.target.URL)
		}
	}
	r.wake()
	r.mu.Unlock()
	for _, url := range lost {
		r.Lost(url)
	}
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

// expire drops what is over, and returns how long the rest lasts.
func (r *Registry) expire(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop("nothing was heard of it", func(e *registration) bool { return !now.Before(e.expires) })
	next := now.Add(r.TTL)
	for _, e := range r.entries {
		if e.expires.Before(next) {
			next = e.expires
		}
	}
	return next.Sub(now)
}

// drop ends the registrations that over says. The caller holds mu.
func (r *Registry) drop(why string, over func(*registration) bool) (n int) {
	var rest []*registration
	for _, e := range r.entries {
		if over(e) {
			r.Log.Info("registration is over", "instance", e.target.Name, "reason", why)
			n++
		} else {
			rest = append(rest, e)
		}
	}
	if n > 0 {
		if err := r.set(rest); err != nil { // fewer of what was good
			r.Log.Error("registrations are kept as they were", "err", err)
		}
	}
	return n
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
