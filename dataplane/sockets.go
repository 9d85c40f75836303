package dataplane

import (
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"penstock/scheduler/telemetry"
)

// sockets are the WebSockets that are open.
type sockets struct {
	mu      sync.Mutex
	open    map[*bridge]struct{}
	passing map[*tunnel]struct{}
	why     uint32 // all have to end, who comes now too
	ofKey   []int  // by keyIndex

	bridges, tunnels traffic
}

// traffic is what is counted of the WebSockets of a kind.
type traffic struct {
	open    atomic.Int64 // now
	in, out telemetry.Counter
	closes  [closeKinds]telemetry.Counter
}

// kinds are all there are, by their name in the metrics.
func (s *sockets) kinds() iter.Seq2[string, *traffic] {
	return func(yield func(string, *traffic) bool) {
		_ = yield("bridge", &s.bridges) && yield("tunnel", &s.tunnels)
	}
}

// of is the traffic of a route's WebSockets.
func (s *sockets) of(r *route) *traffic {
	if r.tunnel {
		return &s.tunnels
	}
	return &s.bridges
}

// enter counts one of a key's, if it may have another; most 0: any number.
func (s *sockets) enter(t *traffic, key, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key > 0 && most > 0 && s.ofKey[key] >= most {
		return false
	}
	s.ofKey[key]++
	t.open.Add(1)
	return true
}

func (s *sockets) leave(t *traffic, key int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofKey[key]--
	t.open.Add(-1)
}

// add says why b has to end, stopNone if it has not.
func (s *sockets) add(b *bridge) (why uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[b] = struct{}{}
	return s.why
}

func (s *sockets) remove(b *bridge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, b)
}

// interrupt ends all that are open.
func (s *sockets) interrupt(why uint32) {
	s.mu.Lock()
	s.why = why
	all := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, b := range all {
		b.interrupt(why)
	}
}

// idle returns those in which nothing is under way.
func (s *sockets) idle() []*bridge {
	return those(&s.mu, s.open, (*bridge).idle)
}

// pass counts a tunnel as open, until it is over.
func (s *sockets) pass(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passing[t] = struct{}{}
}

func (s *sockets) over(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.passing, t)
}

// quiet returns the tunnels through which nothing passes.
func (s *sockets) quiet() []*tunnel {
	return those(&s.mu, s.passing, (*tunnel).quiet)
}

// those are of all whom is says.
func those[T comparable](mu *sync.Mutex, all map[T]struct{}, is func(T) bool) (list []T) {
	mu.Lock()
	defer mu.Unlock()
	for t := range all {
		if is(t) {
			list = append(list, t)
		}
	}
	return list
}

// closeCodes are counted apart (RFC 6455, 7.4.1); any other counts as the last.
var closeCodes = [...]int{1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 0}

const closeKinds = len(closeCodes)

// closed counts a connection's end.
func (t *traffic) closed(code int) {
	n := closeKinds - 1
	for i, c := range closeCodes {
		if c == code {
			n = i
		}
	}
	t.closes[n].Inc()
}
