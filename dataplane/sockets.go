package dataplane

import (
	"maps"
	"slices"
	"sync"

	"penstock/scheduler/telemetry"
)

// sockets are the WebSockets that are open.
type sockets struct {
	mu      sync.Mutex
	open    map[*bridge]struct{}
	passing map[*tunnel]struct{}
	why     uint32 // all have to end, who comes now too
	ofKey   []int  // by keyIndex
	entered int

	in, out telemetry.Counter // messages
	closes  [closeKinds]telemetry.Counter
}

// enter counts one of a key's, if it may have another; most 0: any number.
func (s *sockets) enter(key, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key > 0 && most > 0 && s.ofKey[key] >= most {
		return false
	}
	s.ofKey[key]++
	s.entered++
	return true
}

func (s *sockets) leave(key int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ofKey[key]--
	s.entered--
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

// len is how many are open.
func (s *sockets) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entered
}

// idle returns those in which nothing is under way.
func (s *sockets) idle() (list []*bridge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range s.open {
		if b.idle() {
			list = append(list, b)
		}
	}
	return list
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
func (s *sockets) quiet() (list []*tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.passing {
		if t.quiet() {
			list = append(list, t)
		}
	}
	return list
}

// closeCodes are counted apart (RFC 6455, 7.4.1); any other counts as the last.
var closeCodes = [...]int{1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 0}

const closeKinds = len(closeCodes)

// closed counts a connection's end.
func (s *sockets) closed(code int) {
	n := closeKinds - 1
	for i, c := range closeCodes {
		if c == code {
			n = i
		}
	}
	s.closes[n].Inc()
}
