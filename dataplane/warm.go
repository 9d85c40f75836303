package dataplane

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"penstock/scheduler"
)

// idleLimit is how long a connection stays warm: under vLLM's own limit of 5 s
// (VLLM_HTTP_TIMEOUT_KEEP_ALIVE), so that we close first.
const (
	idleLimit      = 4 * time.Second
	idleLimitFor   = time.Minute // how long a shorter limit, learned, is believed
	idleLimitFloor = time.Millisecond
	maxWarm        = 4096
)

// warm is the stack of idle connections to one instance, the latest used on
// top. fasthttp's HostClient is no choice here: it cannot drop one connection
// whose peer has gone, and repeats requests by rules of its own.
type warm struct {
	inst    *scheduler.Instance
	addr    func() string
	dial    func(ctx context.Context, addr string) (net.Conn, error)
	watch   *watcher
	onClose func() // an idle connection went away by the engine's will

	mu      sync.Mutex
	idle    []*engineConn
	closed  bool
	limit   time.Duration // how long connections may idle
	learned time.Time     // when limit was last lowered
	seen    time.Duration // how long a connection had idled that the engine closed
	seenAt  time.Time     // when it did

	dialing atomic.Pointer[dialing]
	dials   atomic.Uint64
	stale   [witnesses]atomic.Uint64 // connections that the engine had closed, by who found out
}

// engineConn is one connection to an engine. Its user is the goroutine that
// took it from get; the watcher may mark it dead at any time.
type engineConn struct {
	net.Conn
	raw    syscall.RawConn
	fd     int
	to     string // the address that was dialed
	home   *warm
	gone   atomic.Bool // the peer sent FIN or RST
	waits  atomic.Bool // its user waits for an edge that a FIN may not bring
	reused bool        // has carried a request before
	since  time.Time   // idle since
}

// get returns a warm connection that is alive as far as anybody knows, or a
// fresh one. With fresh, only a new one will do.
func (p *warm) get(now time.Time, fresh bool) (*engineConn, error) {
	for !fresh {
		c := p.pop()
		if c == nil {
			break
		}
		switch {
		case c.gone.Load(), now.Sub(c.since) >= p.idleLimit():
		case c.quiet():
			c.reused = true
			return c, nil
		default:
			p.stale[byPeek].Add(1)
		}
		c.close()
	}
	return p.fresh()
}

func (p *warm) fresh() (*engineConn, error) {
	to := p.addr()
	nc, err := p.dial(p.underWay(), to)
	if err != nil {
		return nil, err
	}
	p.dials.Add(1)
	c := &engineConn{Conn: nc, to: to, home: p, fd: -1}
	if c.raw, err = rawConn(nc); err == nil {
		c.fd, err = descriptor(nc)
	}
	if err == nil {
		err = p.watch.add(c.fd, c)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	p.inst.Connected()
	return c, nil
}

// dialing is what bounds the connections that are being made now.
type dialing struct {
	context.Context
	abandon context.CancelFunc
}

func (p *warm) underWay() context.Context {
	for {
		if d := p.dialing.Load(); d != nil {
			return d
		}
		ctx, cancel := context.WithCancel(context.Background())
		if p.dialing.CompareAndSwap(nil, &dialing{ctx, cancel}) {
			return ctx
		}
		cancel()
	}
}

// abandon ends the attempts to connect: nothing reaches the instance.
func (p *warm) abandon() {
	if d := p.dialing.Swap(nil); d != nil {
		d.abandon()
	}
}

func (p *warm) pop() *engineConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put takes back a connection whose answer was read to its end, unless the
// instance has moved meanwhile.
func (p *warm) put(c *engineConn, now time.Time) {
	c.since = now
	p.mu.Lock()
	if p.closed || c.gone.Load() || c.to != p.addr() || len(p.idle) >= maxWarm {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	if c.gone.Load() && p.evict(c) { // left between the look and the append: peerLeft may have missed it
		p.stale[byPeek].Add(1)
	}
}

// evict closes c if it is idle, and says whether it was.
func (p *warm) evict(c *engineConn) bool {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		c.close()
	}
	return i >= 0
}

// peerLeft is the watcher's call: the engine closed this connection. While it
// carries a request its user finds out by reading.
func (c *engineConn) peerLeft(by witness) {
	c.gone.Store(true)
	switch {
	case c.home.evict(c):
		c.home.stale[by].Add(1)
		now := time.Now()
		c.home.inst.ClosedIdle(c.home.size(), now)
		c.home.learn(now.Sub(c.since), now)
		if c.home.onClose != nil {
			c.home.onClose()
		}
	case c.waits.Load():
		c.SetReadDeadline(past)
	}
}

// quiet looks, without taking a byte, whether an idle connection is still open
// and silent.
func (c *engineConn) quiet() bool {
	var one [1]byte
	// unix.Recvfrom would allocate an address; this never blocks.
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&one)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

// close is idempotent towards the watcher, and the only way to end a connection
// for good: the descriptor's number must be forgotten before it is reused.
func (c *engineConn) close() {
	c.home.watch.remove(c.fd)
	if c.Conn.Close() == nil { // the first
		c.home.inst.Disconnected()
	}
}

// learn lowers the idle limit when an engine closes earlier than we expected:
// when it does so twice after about the same time. One that dies closes
// connections of any age at one moment.
func (p *warm) learn(idle time.Duration, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alike := idle <= p.seen*5/4 && idle >= p.seen*3/4
	if !alike || now.Sub(p.seenAt) < idle/2 {
		if !alike || now.Sub(p.seenAt) > idleLimitFor {
			p.seen, p.seenAt = idle, now
		}
		return
	}
	if lower := max(idle*4/5, idleLimitFloor); lower < p.limit {
		p.limit, p.learned = lower, now
	}
}

func (p *warm) idleLimit() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// sweep closes what has idled long enough, oldest first, and forgets a learned
// limit after a while: the engine may have been restarted with another.
func (p *warm) sweep(now time.Time) {
	p.mu.Lock()
	if now.Sub(p.learned) > idleLimitFor {
		p.limit = idleLimit
	}
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.limit {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// shut closes every idle connection and lets none come back.
func (p *warm) shut() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.flush()
}

// size is how many connections idle.
func (p *warm) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.idle)
}

// flush closes every idle connection: they lead to where nobody should go.
func (p *warm) flush() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
