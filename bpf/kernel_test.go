package bpf

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onKernelRungs runs a test on both rungs that have programs in the kernel:
// they give the same counts and the same events.
func onKernelRungs(t *testing.T, f func(t *testing.T, s Source)) {
	for _, mode := range []Mode{Sockops, Tracepoints} {
		t.Run(string(mode), func(t *testing.T) { f(t, open(t, mode, nil)) })
	}
}

func TestConnectionsAndBytesAreCounted(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		const conns, out, in = 5, 100_000, 70_000
		var ours, theirs [conns]*net.TCPConn
		for i := range ours {
			ours[i], theirs[i] = p.dial()
		}
		if c := counters(s, row); c.Active != conns || c.Total != conns {
			t.Fatalf("%d connections are open, the row says %+v", conns, c)
		}
		for i := range ours {
			pass(t, ours[i], theirs[i], out)
			pass(t, theirs[i], ours[i], in)
			ours[i].Close()
			theirs[i].Close()
		}
		c := until(t, s, row, "all bytes are counted", func(c Counters) bool {
			return c.Active == 0 && c.BytesOut >= conns*out && c.BytesIn >= conns*in
		})
		if c.Total != conns {
			t.Errorf("total %d, want %d", c.Total, conns)
		}
		// Each FIN may count as a byte.
		if c.BytesOut > conns*(out+1) || c.BytesIn > conns*(in+1) {
			t.Errorf("bytes out %d, in %d; sent %d and %d", c.BytesOut, c.BytesIn, conns*out, conns*in)
		}
		if c.SRTTMicros == 0 || c.RTTMinMicros == 0 || c.RTTMinMicros > 1e6 {
			t.Errorf("no round-trip time: %+v", c)
		}
		if c.Resets+c.Refused+c.Timeouts+c.Unanswered != 0 {
			t.Errorf("failures where there were none: %+v", c)
		}
		if age := Now() - c.LastByteNS; age < 0 || age > int64(time.Minute) {
			t.Errorf("the last byte was %v ago", time.Duration(age))
		}
	})
}

func TestEventsNameTheConnection(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)
		f := func(want Kind, end func(theirs *net.TCPConn)) {
			t.Helper()
			ours, theirs := p.dial()
			cookie, before := cookieOf(t, ours), Now()
			end(theirs)
			e := heard.next(want)
			if e.Cookie != cookie || e.Row != uint32(row) {
				t.Errorf("%v: cookie %d, row %d; want %d and %d", want, e.Cookie, e.Row, cookie, row)
			}
			if e.At < before || e.At > Now() {
				t.Errorf("%v: at %d, not in %d … now", want, e.At, before)
			}
		}
		f(PeerClosed, func(theirs *net.TCPConn) { theirs.Close() })
		f(Reset, reset)
		f(PeerClosed, func(theirs *net.TCPConn) { theirs.CloseWrite() })
		c := counters(s, row)
		if c.PeerClosed != 2 || c.Resets != 1 || c.Active != 0 || c.LastEventNS == 0 {
			t.Errorf("the row says %+v", c)
		}
	})
}

func TestRefusedConnection(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)
		p.ln.Close()
		var cookie uint64
		d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { cookie, _ = SocketCookie(int(fd)) })
		}}
		if _, err := d.Dial("tcp4", p.addr.String()); err == nil {
			t.Fatal("connected to a closed port")
		}
		if e := heard.next(Refused); e.Cookie != cookie || e.Row != uint32(row) {
			t.Errorf("%+v, want cookie %d and row %d", e, cookie, row)
		}
		if c := counters(s, row); c.Refused != 1 || c.Active != 0 || c.Total != 0 || c.Resets != 0 {
			t.Errorf("the row says %+v", c)
		}
	})
}

// What we end ourselves is no failure of the instance: an answer that is thrown
// away half read makes a RST, and a dial that is given up makes nothing.
func TestOwnEndIsNoFailure(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)

		ours, theirs := p.dial()
		if _, err := theirs.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		pass(t, ours, theirs, 1) // by now the answer is there
		if _, err := ours.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		ours.Close()

		ours, _ = p.dial()
		reset(ours)

		deaf := newDeaf(t)
		deafRow := track(t, s, deaf)
		ctx, cancel := context.WithCancel(t.Context())
		d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { time.AfterFunc(20*time.Millisecond, cancel); return nil }}
		if _, err := d.DialContext(ctx, "tcp4", deaf.String()); err == nil {
			t.Fatal("connected to a port that does not answer")
		}

		heard.none(func() uint64 {
			ours, theirs := p.dial()
			cookie := cookieOf(t, ours)
			theirs.Close()
			return cookie
		}, Reset, Refused, TimedOut, PeerClosed)
		if c := counters(s, row); c.Resets != 0 || c.Total != 3 {
			t.Errorf("the row says %+v", c)
		}
		if c := counters(s, deafRow); c.Refused+c.Resets+c.Total != 0 {
			t.Errorf("the row of what did not answer says %+v", c)
		}
	})
}

// newDeaf returns an address whose SYNs nobody answers: that of a listener
// whose backlog is full.
func newDeaf(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(sa.(*unix.SockaddrInet4).Port))
	c, err := net.Dial("tcp4", addr.String()) // a backlog of 0 takes one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return addr
}

func TestUnansweredSYN(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		addr := newDeaf(t)
		row := track(t, s, addr)
		heard := listen(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := Now()
		var dialing sync.WaitGroup
		dialing.Go(func() {
			var d net.Dialer
			if c, err := d.DialContext(ctx, "tcp4", addr.String()); err == nil {
				c.Close()
				t.Error("connected to a port that does not answer")
			}
		})
		e := heard.next(TimedOut)
		cancel()
		dialing.Wait()
		if e.Row != uint32(row) {
			t.Errorf("row %d, want %d", e.Row, row)
		}
		// The kernel's own first time-out is a second: only sockops can set it.
		if took := time.Duration(e.At - began); s.Mode() == Sockops && (took < synTimeout/2 || took > 900*time.Millisecond) {
			t.Errorf("told after %v, want about %v", took, synTimeout)
		}
		if c := counters(s, row); c.Unanswered == 0 || c.Refused != 0 || c.Total != 0 || c.Active != 0 {
			t.Errorf("the row says %+v", c)
		}
	})
}

func TestBlackHole(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)
		ours, theirs := p.dial()
		pass(t, ours, theirs, 100)
		deafen(t, theirs)
		began := Now()
		if _, err := ours.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		e := heard.next(Timeout)
		if e.Cookie != cookieOf(t, ours) || e.Row != uint32(row) {
			t.Errorf("%+v, want cookie %d and row %d", e, cookieOf(t, ours), row)
		}
		t.Logf("told after %v", time.Duration(e.At-began))
		if c := counters(s, row); c.Timeouts == 0 || c.Retransmits == 0 || c.Active != 1 {
			t.Errorf("the row says %+v", c)
		}
	})
}

// When the cable is cut every connection times out: that is one thing to know,
// not a hundred.
func TestHerdOfTimeoutsIsToldSeldom(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		const conns = 100
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)
		var ours [conns]*net.TCPConn
		for i := range ours {
			var theirs *net.TCPConn
			ours[i], theirs = p.dial()
			deafen(t, theirs)
		}
		for _, c := range ours {
			if _, err := c.Write(make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
		}
		c := until(t, s, row, "every connection has timed out", func(c Counters) bool { return c.Timeouts >= conns })
		last, told := c.LastEventNS, 0
		for e := heard.next(Timeout); ; e = heard.next(Timeout) {
			if told++; e.At >= last {
				break
			}
		}
		if told > conns/2 {
			t.Errorf("%d time-outs were told %d times", c.Timeouts, told)
		}
	})
}

func TestRetransmissions(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)
		ours, theirs := p.dial()
		lose(t, theirs)
		var moving sync.WaitGroup
		moving.Go(func() { io.Copy(io.Discard, theirs) })
		moving.Go(func() {
			for buf := make([]byte, 1<<20); ; {
				if _, err := ours.Write(buf); err != nil {
					return
				}
			}
		})
		e := heard.next(Retransmits)
		if e.Cookie != cookieOf(t, ours) || e.Row != uint32(row) || e.Count < 4 {
			t.Errorf("%+v, want cookie %d and row %d", e, cookieOf(t, ours), row)
		}
		ours.Close()
		theirs.Close()
		moving.Wait()
		if c := counters(s, row); c.Retransmits < 4 {
			t.Errorf("the row says %+v", c)
		}
	})
}

// An instance that is given up after TCP_USER_TIMEOUT timed out, and was not reset.
func TestUserTimeoutIsNoReset(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		ours, theirs := p.dial()
		control(t, ours, func(fd int) {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 300); err != nil {
				t.Fatal(err)
			}
		})
		deafen(t, theirs)
		if _, err := ours.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Read(make([]byte, 1)); err == nil {
			t.Fatal("read from a dead connection")
		}
		c := until(t, s, row, "no connection is left", func(c Counters) bool { return c.Active == 0 })
		if c.Resets != 0 || c.Timeouts == 0 {
			t.Errorf("the row says %+v", c)
		}
	})
}

func TestClientLeaves(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0") // here: our own listener
		if err := s.Listen(p.addr.Port()); err != nil {
			t.Fatal(err)
		}
		heard := listen(t, s)
		f := func(leave func(client *net.TCPConn)) {
			t.Helper()
			client, server := p.dial()
			cookie := cookieOf(t, server)
			leave(client)
			if e := heard.next(ClientLeft); e.Cookie != cookie || e.Row != NoRow {
				t.Errorf("%+v, want cookie %d", e, cookie)
			}
		}
		f(func(c *net.TCPConn) { c.Close() })
		f(func(c *net.TCPConn) { c.CloseWrite() })
		f(reset)
		_, server := p.dial()
		server.Close() // our own end says nothing
		heard.none(func() uint64 {
			client, server := p.dial()
			cookie := cookieOf(t, server)
			client.Close()
			return cookie
		}, ClientLeft)
	})
}

func TestIPv6AndMapped(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		six := newPeer(t, "tcp6", "[::1]:0")
		four := newPeer(t, "tcp", "0.0.0.0:0")
		port := four.addr.Port()
		plain := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		mapped := netip.AddrPortFrom(netip.MustParseAddr("::ffff:127.0.0.1"), port)
		row6, row4 := track(t, s, six.addr), track(t, s, plain)
		if again := track(t, s, mapped); again != row4 {
			t.Errorf("%v has row %d, %v has %d", plain, row4, mapped, again)
		}
		six.dial()
		four.dialTo("tcp4", plain.String())
		dialMapped(t, port) // an AF_INET6 socket
		if c := counters(s, row6); c.Active != 1 {
			t.Errorf("IPv6: %+v", c)
		}
		if c := counters(s, row4); c.Active != 2 {
			t.Errorf("IPv4 and mapped: %+v", c)
		}
	})
}

func dialMapped(t *testing.T, port uint16) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	sa := &unix.SockaddrInet6{Port: int(port), Addr: netip.MustParseAddr("::ffff:127.0.0.1").As16()}
	if err := unix.Connect(fd, sa); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionMadeBeforeTrackingIsUnknown(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		ours, theirs := p.dial()
		row := track(t, s, p.addr)
		pass(t, ours, theirs, 1000)
		theirs.Close()
		p.dial()
		if c := counters(s, row); c.Active != 1 || c.Total != 1 || c.BytesOut != 0 || c.PeerClosed != 0 {
			t.Errorf("the row says %+v", c)
		}
	})
}

// A row must not go to another address while a connection can still count in
// it, and what is left of the old address must not count for the new one.
func TestRowIsReusedWhenItIsIdle(t *testing.T) {
	for _, mode := range []Mode{Sockops, Tracepoints} {
		t.Run(string(mode), func(t *testing.T) {
			s := open(t, mode, func(o *Options) { o.Rows = 1 })
			a, b := newPeer(t, "tcp4", "127.0.0.1:0"), newPeer(t, "tcp4", "127.0.0.1:0")
			row := track(t, s, a.addr)
			ours, theirs := a.dial()
			s.Untrack(row)
			if _, err := s.Track(b.addr); err == nil {
				t.Fatal("the row went to another address with a connection on it")
			}
			a.dial() // is not counted
			if c := counters(s, row); c.Active != 1 || c.Total != 1 {
				t.Errorf("after Untrack: %+v", c)
			}
			theirs.Close()
			ours.Close()
			deadline := time.Now().Add(patience)
			for {
				again, err := s.Track(b.addr)
				if err == nil {
					row = again
					break
				}
				if time.Now().After(deadline) {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
			if c := counters(s, row); c != (Counters{}) {
				t.Errorf("the new address begins with %+v", c)
			}
			b.dial()
			if c := counters(s, row); c.Active != 1 || c.Total != 1 {
				t.Errorf("the new address: %+v", c)
			}
		})
	}
}

// Connections come and go by the thousand, from both ends: nothing is left, no
// event is lost, and readers see only what can be.
func TestChurn(t *testing.T) {
	conns := 20_000
	if testing.Short() {
		conns = 2_000
	}
	onKernelRungs(t, func(t *testing.T, s Source) {
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		var closed atomic.Int64
		stop := make(chan struct{})
		var reading sync.WaitGroup
		reading.Go(func() {
			s.Run(stop, func(e Event) {
				if e.Kind == PeerClosed {
					closed.Add(1)
				}
			})
		})
		reading.Go(func() {
			var c Counters
			for {
				select {
				case <-stop:
					return
				default:
				}
				if s.Read(row, &c); c.Active > uint64(conns) {
					t.Errorf("active is %d", int64(c.Active))
					return
				}
				runtime.Gosched()
			}
		})
		const workers = 4
		var dialing sync.WaitGroup
		byPeer := conns / 2
		for w := range workers {
			dialing.Go(func() {
				buf := make([]byte, 1)
				for i := w; i < conns; i += workers {
					c, err := net.Dial("tcp4", p.addr.String())
					if err != nil {
						t.Error(err)
						return
					}
					if i < byPeer {
						c.Write([]byte{1}) // tells the peer to go first
						c.Read(buf)
					}
					reset(c.(*net.TCPConn)) // leaves no TIME_WAIT: there are not ports enough
				}
			})
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			for range conns {
				c := <-p.conns
				serving.Go(func() { c.Read(make([]byte, 1)); c.Close() })
			}
		})
		dialing.Wait()
		serving.Wait()
		c := until(t, s, row, "active is 0", func(c Counters) bool { return c.Active == 0 })
		if c.Total != uint64(conns) || c.Resets != 0 || c.PeerClosed != uint64(byPeer) {
			t.Errorf("%d connections, %d closed by the peer; the row says %+v", conns, byPeer, c)
		}
		deadline := time.Now().Add(patience)
		for closed.Load() < int64(byPeer) && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		close(stop)
		reading.Wait()
		if closed.Load() != int64(byPeer) || s.Lost() != 0 {
			t.Errorf("%d events of %d, %d lost", closed.Load(), byPeer, s.Lost())
		}
	})
}

func TestReadAllocatesNothing(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		var c Counters
		if n := testing.AllocsPerRun(1000, func() { s.Read(3, &c); c.Active = s.Active(3) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		s.Read(-1, &c)
		s.Read(1<<30, &c)
	})
}

func TestCloseUndoesEverything(t *testing.T) {
	home, err := ownCgroup()
	if err != nil {
		t.Skip(err)
	}
	s := open(t, Sockops, nil)
	inside, err := ownCgroup()
	if err != nil || inside != home+fmt.Sprintf("/penstock-%d", os.Getpid()) && inside != fmt.Sprintf("/penstock-%d", os.Getpid()) {
		t.Logf("the process is in %s, was in %s (%v)", inside, home, err)
	}
	if inside == home {
		t.Error("the process did not move")
	}
	done := make(chan struct{})
	go func() { s.Run(nil, func(Event) {}); close(done) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("Run goes on after Close")
	}
	if now, _ := ownCgroup(); now != home {
		t.Errorf("the process is in %s, was in %s", now, home)
	}
	if _, err := os.Stat(inside); !os.IsNotExist(err) {
		t.Errorf("the cgroup %s is still there", inside)
	}
	counters(s, 0) // a late reader does no harm
}

// Should a row go to another address too early, what is left of the old one
// must not count for the new one: active would wrap below 0.
func TestOldConnectionsDoNotCountForANewAddress(t *testing.T) {
	onKernelRungs(t, func(t *testing.T, s Source) {
		var k *kernel
		switch s := s.(type) {
		case *sockops:
			k = &s.kernel
		case *tracepoints:
			k = &s.kernel
		}
		p := newPeer(t, "tcp4", "127.0.0.1:0")
		row := track(t, s, p.addr)
		heard := listen(t, s)
		ours, theirs := p.dial()
		pass(t, ours, theirs, 100)
		if err := k.reset(&place{row: uint32(row), generation: 2}); err != nil {
			t.Fatal(err)
		}
		pass(t, ours, theirs, 100)
		theirs.Close()
		ours.Close()
		other := newPeer(t, "tcp4", "127.0.0.1:0")
		track(t, s, other.addr)
		heard.none(func() uint64 {
			ours, theirs := other.dial()
			cookie := cookieOf(t, ours)
			theirs.Close()
			return cookie
		}, Reset)
		if c := counters(s, row); c != (Counters{}) {
			t.Errorf("the new address begins with %+v", c)
		}
	})
}
