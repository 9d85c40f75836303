package scheduler

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"penstock/bpf"
)

const (
	// attachAgain is how soon a row is asked for again that there was not.
	attachAgain = 30 * time.Second
	// closedWithin is the time in which closings count as one event: those of
	// an engine that dies come within 1 ms (kernel.md), and later on a busy
	// machine. closedLeast is how many an event has.
	closedWithin = 20 * time.Millisecond
	closedLeast  = 4
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

	epoch  int64                    // CLOCK_MONOTONIC when the clock of Query.Now was 0
	onLeft func(cookie uint64)      // nil: nobody wants to know
	owns   func(cookie uint64) bool // whether the socket is one of the gateway's; nil: none is

	mu sync.Mutex
	at map[int][]*Instance // by row; several may have one address
}

// strand is one instance's part of it. The keeper writes row and addr, the
// hearing goroutine the rest.
type strand struct {
	row    atomic.Int32   // 0: none, else the row and one
	shared atomic.Bool    // another instance has, or had, the same
	addr   netip.AddrPort // that has it
	tried  time.Time      // when a row was last asked for

	lostAt     int64  // when a time-out was told
	lostCookie uint64 // of which connection

	mu        sync.Mutex // over what follows
	closedAt  time.Time  // when the latest herd of closings began
	closed    int        // how many it has
	doubtedAt time.Time
}

// Hear lets the scheduler know what the kernel sees. It must come before Run.
func (s *Scheduler) Hear(source bpf.Source) { s.wire.source = source }

// Sockets is what a gateway knows of its sockets, by their SO_COOKIE.
type Sockets struct {
	Epoch int64                    // CLOCK_MONOTONIC when the clock of Query.Now was 0, ns
	Owns  func(cookie uint64) bool // whether it is one to an instance
	Left  func(cookie uint64)      // called when its peer sent FIN or RST; must not block
}

// Watches tells the scheduler of the gateway's sockets. It must come before Run.
func (s *Scheduler) Watches(g Sockets) {
	s.wire.epoch, s.wire.owns, s.wire.onLeft = g.Epoch, g.Owns, g.Left
}

// hear runs until stop is closed.
func (w *wire) hear(stop <-chan struct{}) {
	w.source.Run(stop, func(e bpf.Event) {
		switch e.Kind {
		case bpf.PeerClosed, bpf.Reset, bpf.ClientLeft:
			if w.onLeft != nil {
				w.onLeft(e.Cookie)
			}
		}
		w.mu.Lock()
		instances := w.at[int(e.Row)]
		w.mu.Unlock()
		for _, i := range instances {
			i.heard(e)
		}
	})
}

// attach gives the instance the row of its address, before anything connects
// to it; what has no address yet, or finds no row, is not counted.
func (w *wire) attach(i *Instance) {
	addr, err := netip.ParseAddrPort(i.Addr())
	if w.source == nil || err != nil || addr == i.strand.addr || time.Since(i.strand.tried) < attachAgain {
		return
	}
	w.detach(i)
	row, err := w.source.Track(addr)
	if err != nil {
		if i.strand.tried.IsZero() {
			i.log.Warn("its connections are not counted", "err", err)
		}
		i.strand.tried = time.Now()
		return
	}
	w.mu.Lock()
	w.at[row] = append(slices.Clip(w.at[row]), i)
	for _, o := range w.at[row] {
		o.strand.shared.Store(len(w.at[row]) > 1)
	}
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
	left := slices.DeleteFunc(slices.Clone(w.at[row]), func(o *Instance) bool { return o == i })
	if w.at[row] = left; len(left) == 0 {
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
	if !ok || i.strand.shared.Load() {
		return 0
	}
	return max(int64(i.wire.source.Active(row))-i.row.conns.Load()-1, 0)
}

// heard judges an event. It runs on the hearing goroutine, and does not block.
// Tracepoints tell of everybody's sockets: what others do is no evidence, for
// anybody on this host could make it.
func (i *Instance) heard(e bpf.Event) {
	w := i.wire
	if w.source.Mode() == bpf.Tracepoints && (w.owns == nil || !w.owns(e.Cookie)) {
		return
	}
	switch e.Kind {
	case bpf.Refused:
		i.fault(Kernel, "a connection was refused")
	case bpf.Timeout, bpf.TimedOut:
		i.silent(e)
	}
}

// ClosedIdle notes that the instance closed one of the gateway's idle
// connections, of which it left so many. One that closes nearly all at once is
// doubted: its process has ended. An engine that closes one now and then does
// what it should.
func (i *Instance) ClosedIdle(left int, now time.Time) {
	s := &i.strand
	s.mu.Lock()
	if now.Sub(s.closedAt) > closedWithin {
		s.closedAt, s.closed = now, 0
	}
	s.closed++
	closed := s.closed
	doubt := closed >= closedLeast && closed >= 4*left && now.Sub(s.doubtedAt) >= doubtEvery
	if doubt {
		s.doubtedAt = now
	}
	s.mu.Unlock()
	if doubt {
		i.suspect(fmt.Sprintf("it closed %d of its %d idle connections at once", closed, closed+left))
	}
}

// silent takes out an instance that acknowledges nothing any more: its host is
// gone, or the cable.
func (i *Instance) silent(e bpf.Event) {
	var c bpf.Counters
	i.wire.source.Read(int(e.Row), &c)
	trips := darkTrips * time.Duration(c.SRTTMicros) * time.Microsecond
	// Only acknowledgements go out while an answer streams in, and the kernel has
	// no callback for that: what the gateway read counts too (kernel.md).
	last := max(c.LastByteNS, i.wire.epoch+i.row.movedAt.Load())
	still := time.Duration(e.At - last)
	if i.wire.source.Mode() == bpf.Tracepoints { // they do not hear what is acknowledged
		still = min(still, i.strand.lost(e))
	}
	reason := fmt.Sprintf("nothing sent to it was acknowledged for %v", still.Round(10*time.Millisecond))
	switch {
	case still >= max(darkAfter, trips) && (e.Kind == bpf.Timeout || e.Count >= synsToDark):
		i.health.dark.Store(true)
		i.fault(Kernel, reason)
	case still >= max(dimAfter, trips):
		i.suspect(reason)
	}
}

// lost is for how long time-outs say that nothing is acknowledged, where nobody
// knows what else was: it takes two connections, for one may lose packets, or
// the third time-out of one.
func (s *strand) lost(e bpf.Event) time.Duration {
	both := e.Cookie != s.lostCookie && e.At-s.lostAt < int64(lostWithin)
	s.lostAt, s.lostCookie = e.At, e.Cookie
	if both || e.Count >= 3 {
		return darkAfter
	}
	return dimAfter
}
