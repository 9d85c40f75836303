package bpf

import (
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// open opens the rung mode and fails where it is not the one that came: the
// kernels that tests run on have the hooks.
func open(tb testing.TB, mode Mode, set func(*Options)) Source {
	tb.Helper()
	if os.Geteuid() != 0 && (mode == Sockops || mode == Tracepoints) {
		tb.Skip("needs root: loads programs into the kernel")
	}
	o := Options{Mode: mode, Rows: 64, Log: slog.New(slog.NewTextHandler(testWriter{tb}, nil))}
	if set != nil {
		set(&o)
	}
	s := Open(o)
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("closing: %v", err)
		}
	})
	if s.Mode() != mode {
		tb.Fatalf("the rung is %s, want %s", s.Mode(), mode)
	}
	return s
}

type testWriter struct{ tb testing.TB }

func (w testWriter) Write(b []byte) (int, error) { w.tb.Logf("%s", b); return len(b), nil }

// ears hears the events of a source.
type ears struct {
	tb     testing.TB
	events chan Event
}

func listen(tb testing.TB, s Source) *ears {
	e := &ears{tb: tb, events: make(chan Event, 1<<16)}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		s.Run(stop, func(ev Event) {
			select {
			case e.events <- ev:
			default:
				tb.Error("the test does not take its events")
			}
		})
	})
	tb.Cleanup(func() { close(stop); running.Wait() })
	return e
}

// next waits for an event of this kind and passes over the others.
func (e *ears) next(k Kind) Event {
	e.tb.Helper()
	timeout := time.After(patience)
	for {
		select {
		case ev := <-e.events:
			if ev.Kind == k {
				return ev
			}
		case <-timeout:
			e.tb.Fatalf("no event %q came", k)
		}
	}
}

// none checks that what has come so far is of no such kind. marker makes an
// event for sure, so that nothing need be waited for by the clock.
func (e *ears) none(marker func() uint64, kinds ...Kind) {
	e.tb.Helper()
	cookie := marker()
	timeout := time.After(patience)
	for {
		select {
		case ev := <-e.events:
			if ev.Cookie == cookie {
				return
			}
			for _, k := range kinds {
				if ev.Kind == k {
					e.tb.Errorf("an event %+v that should not be", ev)
				}
			}
		case <-timeout:
			e.tb.Fatal("the marker's event did not come")
		}
	}
}

// peer is an instance that does what a test tells it.
type peer struct {
	tb    testing.TB
	ln    *net.TCPListener
	addr  netip.AddrPort
	conns chan *net.TCPConn
}

func newPeer(tb testing.TB, network, addr string) *peer {
	tb.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		tb.Fatal(err)
	}
	p := &peer{tb: tb, ln: ln.(*net.TCPListener), conns: make(chan *net.TCPConn, 1024)}
	p.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	go func() {
		for {
			c, err := p.ln.AcceptTCP()
			if err != nil {
				return
			}
			p.conns <- c
		}
	}()
	tb.Cleanup(func() {
		p.ln.Close()
		for {
			select {
			case c := <-p.conns:
				c.Close()
			default:
				return
			}
		}
	})
	return p
}

// dial connects to the peer and returns both ends.
func (p *peer) dial() (ours, theirs *net.TCPConn) {
	p.tb.Helper()
	return p.dialTo("tcp", p.addr.String())
}

func (p *peer) dialTo(network, addr string) (ours, theirs *net.TCPConn) {
	p.tb.Helper()
	c, err := net.Dial(network, addr)
	if err != nil {
		p.tb.Fatal(err)
	}
	ours = c.(*net.TCPConn)
	select {
	case theirs = <-p.conns:
	case <-time.After(patience):
		p.tb.Fatal("the peer did not accept")
	}
	p.tb.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

// pass sends n bytes from one end and reads them at the other.
func pass(tb testing.TB, from, to net.Conn, n int) {
	tb.Helper()
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, n))
		sent <- err
	}()
	if _, err := io.ReadFull(to, make([]byte, n)); err != nil {
		tb.Fatal(err)
	}
	if err := <-sent; err != nil {
		tb.Fatal(err)
	}
}

func control(tb testing.TB, c syscall.Conn, f func(fd int)) {
	tb.Helper()
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func cookieOf(tb testing.TB, c syscall.Conn) (cookie uint64) {
	tb.Helper()
	control(tb, c, func(fd int) {
		var err error
		if cookie, err = SocketCookie(fd); err != nil {
			tb.Fatal(err)
		}
	})
	return cookie
}

// reset closes c with a RST.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// deafen makes the socket drop whatever comes, acknowledgements too: to its
// peer the cable is cut.
func deafen(tb testing.TB, c syscall.Conn) {
	tb.Helper()
	filter(tb, c, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
}

// lose makes the socket drop one packet in ten.
func lose(tb testing.TB, c syscall.Conn) {
	tb.Helper()
	const random = 0xfffff000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM
	filter(tb, c,
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: random},
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, Jf: 1, K: 1 << 32 / 10},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 20},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	)
}

func filter(tb testing.TB, c syscall.Conn, program ...unix.SockFilter) {
	tb.Helper()
	control(tb, c, func(fd int) {
		err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
		if err != nil {
			tb.Fatal(err)
		}
	})
}

func track(tb testing.TB, s Source, addr netip.AddrPort) int {
	tb.Helper()
	row, err := s.Track(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return row
}

func counters(s Source, row int) (c Counters) {
	s.Read(row, &c)
	return c
}

// until polls the counters of a row: what the kernel does after a call has
// returned has no event of its own.
func until(tb testing.TB, s Source, row int, what string, ok func(Counters) bool) Counters {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for {
		c := counters(s, row)
		if ok(c) {
			return c
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s: never so; the row is %+v", what, c)
		}
		time.Sleep(time.Millisecond)
	}
}

func netipOf(tb testing.TB, addr string) netip.AddrPort {
	tb.Helper()
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
