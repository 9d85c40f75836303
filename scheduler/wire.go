package scheduler

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"penstock/bpf"
)

const (
	// closedWithin is the time in which closings count as one event: those of
	// an engine that dies come within 1 ms (kernel.md), and later on a busy
	// machine.
	closedWithin = 20 * time.Millisecond
	// doubtEvery bounds how often closings have an instance looked at.
	doubtEvery = 100 * time.Millisecond
	// darkAfter is for how long an instance may acknowledge nothing that was
	// sent to it, or four round trips of a far one. By its first retransmission
	// time-out, 400 ms on a near link, what was sent has been lost twice: the
	// kernel sends a tail again before (tcp_schedule_loss_probe).
	darkAfter  = 400 * time.Millisecond
	darkTrips  = 4
	synsToDark = 2 // SYNs are dropped by a full backlog too
	// lostWithin is how far apart the time-outs of two connections may be.
	lostWithin = time.Second
	// dimAfter is when it is doubted: acknowledgements are 40 ms late at most,
	// unless they are lost.
	dimAfter = 150 * time.Millisecond
)

// wire is the kernel's view of the instances. Keepers give their instances
// rows; one goroutine hears what happens to their connections.
type wire struct {
	source bpf.Source // nil: there is none

	onLeft atomic.Pointer[func(cookie uint64)]

	mu sync.Mutex
	at map[int]*Instance // by row; of several with one address, the last
}

// strand is one instance's part of it. The keeper writes row and addr, the
// hearing goroutine the rest.
type strand struct {
	row  atomic.Int32   // 0: none, else the row and one
	addr netip.AddrPort // that has it

	lostAt     int64  // when a time-out was told
	lostCookie uint64 // of which connection

	closedAt  int64  // when the latest herd of closings began, CLOCK_MONOTONIC
	closed    uint64 // how many it has
	doubtedAt int64
}

// Hear lets the scheduler know what the kernel sees. It must come before Run.
func (s *Scheduler) Hear(source bpf.Source) { s.wire.source = source }

// OnLeft sets what is called when the peer of a socket of ours sent FIN or RST;
// cookie is the socket's SO_COOKIE. It must not block.
func (s *Scheduler) OnLeft(f func(cookie uint64)) { s.wire.onLeft.Store(&f) }

// hear runs until stop is closed.
func (w *wire) hear(stop <-chan struct{}) {
	w.source.Run(stop, func(e bpf.Event) {
		switch e.Kind {
		case bpf.PeerClosed, bpf.Reset, bpf.ClientLeft:
			if left := w.onLeft.Load(); left != nil {
				(*left)(e.Cookie)
			}
		}
		w.mu.Lock()
		i := w.at[int(e.Row)]
		w.mu.Unlock()
		if i != nil {
			i.heard(w.source, e)
		}
	})
}

// attach gives the instance the row of its address, before anything connects
// to it; what has no address yet, or finds no row, is not counted.
func (w *wire) attach(i *Instance) {
	addr, err := netip.ParseAddrPort(i.Addr())
	if w.source == nil || err != nil || addr == i.strand.addr {
		return
	}
	w.detach(i)
	row, err := w.source.Track(addr)
	if err != nil {
		i.log.Warn("its connections are not counted", "err", err)
		return
	}
	w.mu.Lock()
	w.at[row] = i
	w.mu.Unlock()
	i.strand.addr = addr
	i.strand.row.Store(int32(row) + 1)
}

// detach gives the row back.
func (w *wire) detach(i *Instance) {
	row := int(i.strand.row.Swap(0)) - 1
	if row < 0 {
		return
	}
	w.mu.Lock()
	if w.at[row] == i {
		delete(w.at, row)
	}
	w.mu.Unlock()
	i.strand.addr = netip.AddrPort{}
	w.source.Untrack(row)
}

// Row is the instance's number in the kernel's view; false: it has none.
func (i *Instance) Row() (row int, ok bool) {
	row = int(i.strand.row.Load()) - 1
	return row, row >= 0
}

// Wire is what the kernel has counted of the instance's connections; false:
// nothing.
func (i *Instance) Wire() (c bpf.Counters, ok bool) {
	row, ok := i.Row()
	if !ok || i.wire.source.Mode() == bpf.Off {
		return c, false
	}
	i.wire.source.Read(row, &c)
	if !i.wire.source.LiveBytesIn() { // kernel.md: only acknowledgements go out meanwhile
		c.BytesIn = i.row.bytesIn.Load()
	}
	return c, true
}

// wired says whether the kernel counts for the instance.
func (i *Instance) wired() bool {
	_, ok := i.Row()
	return ok && i.wire.source.Mode() != bpf.Off
}

// BytesInFrom says who counts the bytes in that Wire tells.
func (i *Instance) BytesInFrom() string {
	if i.wire.source.LiveBytesIn() {
		return "kernel"
	}
	return "gateway"
}

// others are the connections that somebody else has to the instance, other
// gateways of this host: about one of those that are ours is the keeper's.
func (i *Instance) others() int64 {
	row, ok := i.Row()
	if !ok {
		return 0
	}
	return max(int64(i.wire.source.Active(row))-i.row.conns.Load()-1, 0)
}

// heard judges an event. It runs on the hearing goroutine, and does not block.
func (i *Instance) heard(source bpf.Source, e bpf.Event) {
	switch e.Kind {
	case bpf.Refused:
		i.fault(Kernel, "a connection was refused")
	case bpf.PeerClosed, bpf.Reset:
		i.closing(source, e)
	case bpf.Timeout, bpf.TimedOut:
		i.silent(source, e)
	}
}

// closing doubts an instance that closes nearly all of its connections at once:
// its process has ended. An engine that closes an idle one now and then does
// what it should.
func (i *Instance) closing(source bpf.Source, e bpf.Event) {
	s := &i.strand
	if e.At-s.closedAt > int64(closedWithin) {
		s.closedAt, s.closed = e.At, 0
	}
	s.closed++
	var c bpf.Counters
	source.Read(int(e.Row), &c)
	if s.closed < 4*c.Active || e.At-s.doubtedAt < int64(doubtEvery) {
		return
	}
	s.doubtedAt = e.At
	i.suspect(fmt.Sprintf("it closed %d of its %d connections at once", s.closed, s.closed+c.Active))
}

// silent takes out an instance that acknowledges nothing any more: its host is
// gone, or the cable.
func (i *Instance) silent(source bpf.Source, e bpf.Event) {
	var c bpf.Counters
	source.Read(int(e.Row), &c)
	if source.Mode() == bpf.Tracepoints { // they do not hear what is acknowledged
		i.silentAgain(e)
		return
	}
	dark := max(darkAfter, darkTrips*time.Duration(c.SRTTMicros)*time.Microsecond)
	switch still := time.Duration(e.At - c.LastByteNS); {
	case still >= dark && (e.Kind == bpf.Timeout || e.Count >= synsToDark):
		i.health.dark.Store(true)
		i.fault(Kernel, fmt.Sprintf("nothing sent to it was acknowledged for %v", still.Round(10*time.Millisecond)))
	case still >= dimAfter:
		i.suspect(fmt.Sprintf("nothing sent to it was acknowledged for %v", still.Round(10*time.Millisecond)))
	}
}

// silentAgain is silent where nobody knows what else was acknowledged: it takes
// two connections, for one may lose packets, or the third time-out of one.
func (i *Instance) silentAgain(e bpf.Event) {
	s := &i.strand
	both := e.Cookie != s.lostCookie && e.At-s.lostAt < int64(lostWithin)
	s.lostAt, s.lostCookie = e.At, e.Cookie
	if !both && e.Count < 3 {
		i.suspect("nothing sent on a connection was acknowledged in time")
		return
	}
	i.health.dark.Store(true)
	i.fault(Kernel, "nothing sent to it was acknowledged in time")
}
