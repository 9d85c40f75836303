package dataplane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"penstock/bpf"
	"penstock/scheduler"
)

// Gateway is the data plane. New makes it, Serve runs it once.
type Gateway struct {
	cfg     Config
	sched   *scheduler.Scheduler
	log     *slog.Logger
	start   time.Time
	created int64 // seconds since the epoch

	routes    *routes
	keys      *keyring
	limiters  []limiter // by key
	densities []density // by the request's key; the first: of those without
	mover     mover
	watch     *watcher
	calls     calls
	connected atomic.Int64 // connections of clients
	stations  *stations
	holder    *holder
	held      budget
	sockets   sockets
	pingEvery time.Duration
	quietFor  time.Duration
	owners    *owners

	maxClients int
	account    account

	listeners []net.Listener
	ready     chan struct{}
	draining  atomic.Bool
	conns     sync.WaitGroup // the clients' goroutines
}

// New prepares a gateway for the scheduler's instances.
func New(cfg Config, s *scheduler.Scheduler, log *slog.Logger) (*Gateway, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	w, err := newWatcher()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		pingEvery: pingEvery, quietFor: quietFor,
		cfg: cfg, sched: s, log: log, start: time.Now(), created: time.Now().Unix(),
		routes: newRoutes(&cfg), keys: newKeyring(cfg.Auth.Keys), limiters: newLimiters(cfg.Auth.Keys), densities: make([]density, len(cfg.Auth.Keys)+1), watch: w,
		held: budget{limit: cfg.Limits.HeldBytes}, owners: newOwners(), maxClients: mostClients(cfg.Limits.Connections), ready: make(chan struct{}),
	}
	g.mover = copyMover{g}
	g.sockets = sockets{open: make(map[*bridge]struct{}), passing: make(map[*tunnel]struct{}), ofKey: make([]int, len(cfg.Auth.Keys)+1)}
	g.account.init(g.routes.all, cfg.Auth.Keys)
	g.stations = newStations(g.newStation)
	g.holder = &holder{sched: s, log: log, stations: g.stations.all, max: int64(cfg.Queue.MaxSize), line: scheduler.NewLine[*waiter](s)}
	g.holder.bell.Init()
	s.OnFree(g.holder.freed)
	s.OnGone(g.left)
	s.OnMoved(func(i *scheduler.Instance) { g.stations.look(i).warm.flush() })
	return g, nil
}

// Hear lets the kernel's events name sockets: what has ended is known by them
// first. It must come before Serve.
func (g *Gateway) Hear() {
	g.watch.hear()
	g.sched.Watches(scheduler.Sockets{Epoch: bpf.Now() - g.now(), Owns: g.watch.owns, Left: g.watch.left})
}

// left forgets an instance. Requests that entered the line by its ring are
// asked for again from the line: the holder takes them over first.
func (g *Gateway) left(i *scheduler.Instance) {
	if st := g.stations.drop(i); st != nil {
		g.holder.adopt(st)
	}
}

// now is the gateway's clock: ns since its start, never backwards.
func (g *Gateway) now() int64 { return int64(time.Since(g.start)) }

// Ready is closed once all addresses are listened on.
func (g *Gateway) Ready() <-chan struct{} { return g.ready }

// Addrs are the addresses listened on, after Ready.
func (g *Gateway) Addrs() []net.Addr {
	var addrs []net.Addr
	for _, ln := range g.listeners {
		addrs = append(addrs, ln.Addr())
	}
	return addrs
}

// Draining says that the end was asked for.
func (g *Gateway) Draining() bool { return g.draining.Load() }

// Serve listens and serves until ctx ends; then it drains: new requests get
// 503, answers under way may finish within DrainTimeout. It returns when every
// goroutine of it has ended.
func (g *Gateway) Serve(ctx context.Context) error {
	defer g.watch.close()
	if err := g.listen(ctx); err != nil {
		return err
	}
	growDescriptorTable()
	close(g.ready)

	stop := make(chan struct{})
	var own, accepting sync.WaitGroup
	own.Go(g.watch.run)
	own.Go(func() { g.sweep(stop) })
	own.Go(func() { g.holder.run(stop, g.now, rand.Uint64) })
	for _, ln := range g.listeners {
		accepting.Go(func() { g.accept(ln) })
	}

	<-ctx.Done()
	g.drain()
	for _, ln := range g.listeners {
		ln.Close()
	}
	accepting.Wait()
	g.calls.interrupt(stopDrain)
	g.sockets.interrupt(stopDrain)
	g.conns.Wait()
	close(stop)
	g.watch.close()
	own.Wait()
	for _, st := range g.stations.all() {
		st.warm.shut()
	}
	return nil
}

// drain waits until no request is under way, or for DrainTimeout.
func (g *Gateway) drain() {
	g.draining.Store(true)
	over := time.NewTimer(g.cfg.DrainTimeout)
	defer over.Stop()
	select {
	case <-g.account.idle():
	case <-over.C:
		g.log.Warn("requests were still under way when the time to drain was over", "requests", g.account.current.Load())
	}
}

func (g *Gateway) listen(ctx context.Context) error {
	// Go's listeners speak MPTCP by default (since 1.24): a slower path that no client here asks for.
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	for _, a := range g.cfg.Listen {
		network, addr := "tcp", a
		if path, ok := strings.CutPrefix(a, "unix:"); ok {
			network, addr = "unix", path
			removeStaleSocket(path)
		} else if host, _, err := net.SplitHostPort(a); err == nil && net.ParseIP(host).To4() != nil {
			network = "tcp4" // "tcp" makes 0.0.0.0 a socket for IPv6 too
		}
		ln, err := lc.Listen(ctx, network, addr)
		if err != nil {
			for _, open := range g.listeners {
				open.Close()
			}
			if at := (*net.OpError)(nil); errors.As(err, &at) {
				err = at.Err // without the address, which stands before it
			}
			return fmt.Errorf("listening on %s: %w", a, err)
		}
		g.listeners = append(g.listeners, ln)
	}
	return nil
}

// removeStaleSocket makes room after a crash: a socket file that nobody
// answers on.
func removeStaleSocket(path string) {
	if fi, err := os.Lstat(path); err != nil || fi.Mode()&os.ModeSocket == 0 {
		return
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return
	}
	os.Remove(path)
}

// accept gives every connection a goroutine.
func (g *Gateway) accept(ln net.Listener) {
	var failing time.Duration // how long the next try waits
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, mostly: it passes
			if failing == 0 {
				g.log.Warn("connections cannot be accepted for now", "err", err)
				failing = 5 * time.Millisecond
			}
			time.Sleep(failing)
			failing = min(2*failing, 500*time.Millisecond)
			continue
		}
		failing = 0
		if g.connected.Load() >= int64(g.maxClients) {
			g.account.turnedAway.Inc()
			conn.Close()
			continue
		}
		g.connected.Add(1)
		g.conns.Go(func() {
			defer g.connected.Add(-1)
			g.serveClient(conn)
		})
	}
}

// mostClients is limits.connections, or else what the descriptors allow: each
// client may need one more towards an engine, and some are others' business.
func mostClients(configured int) int {
	var limit unix.Rlimit
	if configured > 0 || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return max(configured, 1)
	}
	const reserve = 64
	return int(min(max(limit.Cur, 2*reserve)-reserve, 1<<24) / 2)
}

// serveClient is the life of one client's goroutine. What HTTP needs is given back
// before a WebSocket begins, for that may stay for days.
func (g *Gateway) serveClient(conn net.Conn) {
	if b := g.serveHTTP(conn); b != nil {
		b.run()
	}
}

// serveHTTP serves requests until the connection ends, or is a WebSocket's.
func (g *Gateway) serveHTTP(conn net.Conn) *bridge {
	c := &client{call: call{g: g, ip: peerIP(conn)}, conn: conn}
	c.to = c
	fd, err := descriptor(conn)
	if err != nil {
		conn.Close()
		return nil
	}
	c.fd = fd
	if why := g.calls.add(&c.call); why != stopNone { // accepted while the listeners closed
		c.interrupt(why)
	}
	defer c.finish()
	defer g.survive()
	if g.watch.add(fd, c) == nil {
		c.serve()
	}
	return c.bridge
}

// survive is deferred: what fails inside a connection ends that one alone.
func (g *Gateway) survive() {
	if p := recover(); p != nil {
		g.log.Error("a request failed inside the router", "panic", p, "stack", string(debug.Stack()))
	}
}

// peerIP is the client's address without its port.
func peerIP(conn net.Conn) []byte {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return []byte(a.AddrPort().Addr().Unmap().String())
	}
	return []byte("unknown") // a unix socket: RFC 7239's word for it
}

// dial opens a connection to an instance.
func (g *Gateway) dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: g.cfg.ConnectTimeout, KeepAlive: 15 * time.Second}
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", addr)
}

// growDescriptorTable makes room for 16,384 descriptors at once: each growth
// (at 256, 512 …) stalls all threads of the process for an RCU grace period,
// 10 to 20 ms in the middle of every stream.
func growDescriptorTable() {
	if fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 16<<10-1); err == nil {
		unix.Close(fd)
	}
}
