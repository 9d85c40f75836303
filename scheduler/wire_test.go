package scheduler

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"penstock/bpf"
	"penstock/scheduler/engine"
)

// scriptedKernel is a source whose events the test makes.
type scriptedKernel struct {
	mode   bpf.Mode
	same   bool // one row for all
	mu     sync.Mutex
	rows   map[int]bpf.Counters
	addrs  []netip.AddrPort
	free   map[int]bool
	events chan bpf.Event
}

func newScriptedKernel() *scriptedKernel {
	return &scriptedKernel{mode: bpf.Sockops, rows: map[int]bpf.Counters{}, free: map[int]bool{}, events: make(chan bpf.Event)}
}

func (k *scriptedKernel) Mode() bpf.Mode { return k.mode }

func (k *scriptedKernel) Track(a netip.AddrPort) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.addrs = append(k.addrs, a); k.same {
		return 0, nil
	}
	return len(k.addrs) - 1, nil
}

func (k *scriptedKernel) Untrack(row int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.free[row] = true
}

func (k *scriptedKernel) Read(row int, into *bpf.Counters) {
	k.mu.Lock()
	defer k.mu.Unlock()
	*into = k.rows[row]
}

func (k *scriptedKernel) Active(row int) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rows[row].Active
}

func (k *scriptedKernel) set(row int, c bpf.Counters) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows[row] = c
}

func (k *scriptedKernel) Listen(uint16) error { return nil }
func (k *scriptedKernel) LiveBytesIn() bool   { return false }
func (k *scriptedKernel) Lost() uint64        { return 0 }
func (k *scriptedKernel) Close() error        { return nil }

func (k *scriptedKernel) Run(stop <-chan struct{}, on func(bpf.Event)) {
	for {
		select {
		case <-stop:
			return
		case e := <-k.events:
			on(e)
		}
	}
}

// hearing is keep with a kernel, whose row 0 is the instance's.
func hearing(t *testing.T, f func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel)) {
	t.Helper()
	var k *scriptedKernel
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		stop := make(chan struct{})
		defer close(stop)
		go s.wire.hear(stop)
		synctest.Wait()
		state(t, i, Healthy)
		f(s, i, e, k)
	}, func(s *Scheduler) {
		k = newScriptedKernel()
		s.Hear(k)
	})
}

const ms = int64(time.Millisecond)

func TestRefusalThatTheKernelSeesTakesOut(t *testing.T) {
	hearing(t, func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel) {
		e.set(func(e *scripted) { e.down = errRefused })
		k.events <- bpf.Event{Kind: bpf.Refused}
		synctest.Wait()
		if state(t, i, Ejected); i.Status().Reason != "a connection was refused" || i.ejected[Kernel].Load() != 1 {
			t.Errorf("reason %q", i.Status().Reason)
		}
	})
}

func TestInstanceThatClosesAllAtOnceIsDoubted(t *testing.T) {
	keep(t, func(s *Scheduler, i *Instance, e *scripted) {
		state(t, i, Healthy)
		probes := func() (n int) {
			synctest.Wait()
			e.set(func(e *scripted) { n = e.probes })
			return n
		}
		before := probes()
		for n := range 9 { // one now and then is what it should do
			i.ClosedIdle(9-n, time.Now())
			time.Sleep(50 * time.Millisecond)
		}
		for n := range 3 { // three of ten
			i.ClosedIdle(9-n, time.Now())
		}
		i.ClosedIdle(0, time.Now().Add(time.Second)) // the only one
		if got := probes(); got != before {
			t.Errorf("%d probes after closings of idle connections", got-before)
		}
		time.Sleep(2 * time.Second)
		e.set(func(e *scripted) { e.down = errRefused })
		for n := range 10 {
			i.ClosedIdle(9-n, time.Now())
		}
		state(t, i, Ejected) // the probe that followed found nobody
	})
}

func TestInstanceThatAcknowledgesNothingIsOut(t *testing.T) {
	hearing(t, func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel) {
		r := asked(t, i, 100, false)
		k.set(0, bpf.Counters{Active: 5, LastByteNS: 1000 * ms})
		for n := range uint32(4) { // one connection loses packets, others do not
			k.events <- bpf.Event{Kind: bpf.Timeout, Count: n + 1, At: 1100 * ms}
		}
		synctest.Wait()
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.down = engine.ErrTimeout })
		k.events <- bpf.Event{Kind: bpf.TimedOut, Count: 1, At: 1410 * ms}
		synctest.Wait()
		state(t, i, Suspect)
		k.events <- bpf.Event{Kind: bpf.Timeout, Count: 1, At: 1420 * ms}
		synctest.Wait()
		if state(t, i, Ejected); !i.Stuck() {
			t.Error("what it has of ours it keeps")
		}
		r.End()
		e.set(func(e *scripted) { e.down = nil })
		time.Sleep(2 * time.Second)
		if state(t, i, Healthy); i.Stuck() {
			t.Error("it is stuck though it answers")
		}
	})
}

// Only SYNs are lost, by a full backlog: what streams in meanwhile the kernel has
// no callback for.
func TestInstanceThatStreamsIsNotSilent(t *testing.T) {
	hearing(t, func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel) {
		s.Watches(Sockets{Epoch: 1000 * ms})
		r := asked(t, i, 100, true)
		r.FirstByte(0)
		for n := range int64(20) {
			at := n * 100 * ms
			r.Moved(50, at)
			k.events <- bpf.Event{Kind: bpf.TimedOut, Count: 5, At: 1000*ms + at + 60*ms}
			synctest.Wait()
			if i.State() != Healthy || len(i.Status().Changes) > 1 {
				t.Fatalf("%v", i.Status().Changes)
			}
		}
		e.set(func(e *scripted) { e.down = engine.ErrTimeout })
		k.events <- bpf.Event{Kind: bpf.TimedOut, Count: 5, At: 1000*ms + 1900*ms + 500*ms}
		synctest.Wait()
		state(t, i, Ejected)
		r.End()
	})
}

func TestTwoInstancesOnOneAddressBothHear(t *testing.T) {
	s := fleetOf(t, 2, "round-robin")
	k := newScriptedKernel()
	s.Hear(k)
	k.same = true
	a, b := s.Instances()[0], s.Instances()[1]
	to := a.Addr()
	b.address.to.Store(&to)
	s.wire.attach(a)
	s.wire.attach(b)
	k.set(0, bpf.Counters{Active: 9})
	if a.others() != 0 || b.others() != 0 {
		t.Error("one's connections are the other's foreign load")
	}
	s.wire.detach(b)
	stop := make(chan struct{})
	var hearing sync.WaitGroup
	hearing.Go(func() { s.wire.hear(stop) })
	k.events <- bpf.Event{Kind: bpf.Refused}
	close(stop)
	hearing.Wait()
	if a.State() != Ejected || b.State() == Ejected {
		t.Errorf("%v and %v", a.State(), b.State())
	}
}

func TestTracepointsNeedTwoConnectionsToCallAnInstanceSilent(t *testing.T) {
	hearing(t, func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel) {
		k.mode = bpf.Tracepoints
		s.Watches(Sockets{Owns: func(cookie uint64) bool { return cookie < 100 }})
		for n := range int64(4) { // somebody else's, on the same host
			k.events <- bpf.Event{Kind: bpf.Timeout, Count: 9, Cookie: 100 + uint64(n), At: n * ms}
			k.events <- bpf.Event{Kind: bpf.Refused, Cookie: 100 + uint64(n), At: n * ms}
		}
		state(t, i, Healthy)
		for n := range int64(3) {
			k.events <- bpf.Event{Kind: bpf.Timeout, Count: 1, Cookie: 7, At: n * 400 * ms}
			synctest.Wait()
			state(t, i, Healthy) // the probe went well
		}
		k.events <- bpf.Event{Kind: bpf.Timeout, Count: 1, Cookie: 8, At: 5000 * ms}
		synctest.Wait()
		state(t, i, Healthy)
		e.set(func(e *scripted) { e.down = engine.ErrTimeout })
		k.events <- bpf.Event{Kind: bpf.Timeout, Count: 1, Cookie: 9, At: 5300 * ms}
		synctest.Wait()
		state(t, i, Ejected)
	})
}

func TestInstanceThatMovesHasAnotherRow(t *testing.T) {
	hearing(t, func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel) {
		if c, ok := i.Wire(); !ok || c.Total != 0 {
			t.Fatal("no row")
		}
		to := "127.0.0.1:2"
		i.address.to.Store(&to)
		i.wake()
		synctest.Wait()
		if row, _ := i.Row(); row != 1 || !k.free[0] || k.addrs[1] != netip.MustParseAddrPort(to) {
			t.Errorf("row %d, rows %v given back of %v", row, k.free, k.addrs)
		}
	})
}

func TestConnectionsOfOthersAreLoadWhereTheEngineSaysNothing(t *testing.T) {
	hearing(t, func(s *Scheduler, i *Instance, e *scripted, k *scriptedKernel) {
		i.Connected()
		k.set(0, bpf.Counters{Active: 7})
		if l := i.load(100); l.requests != 0 {
			t.Errorf("%d requests though the engine says none", l.requests)
		}
		e.set(func(e *scripted) { e.scrape = errRefused })
		i.said.live.Store(0)
		if l := i.load(100); l.requests != 5 || l.tokens != 500 { // less ours and the keeper's
			t.Errorf("%+v", l)
		}
		i.Disconnected()
	})
}
