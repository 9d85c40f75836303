package bpf

import (
	"net"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// pool is connections that can be sampled.
type pool struct {
	mu    sync.Mutex
	row   int
	conns map[uint64]*net.TCPConn
}

func (p *pool) sample(yield func(row int, cookie uint64, info *unix.TCPInfo)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for cookie, c := range p.conns {
		raw, err := c.SyscallConn()
		if err != nil {
			continue
		}
		raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				yield(p.row, cookie, info)
			}
		})
	}
}

func (p *pool) dial(t *testing.T, peer *peer) (ours, theirs *net.TCPConn) {
	ours, theirs = peer.dial()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[cookieOf(t, ours)] = ours
	return ours, theirs
}

func TestTCPInfoSamplesThePool(t *testing.T) {
	p := &pool{conns: make(map[uint64]*net.TCPConn)}
	s := open(t, TCPInfo, func(o *Options) { o.Sample = p.sample })
	instance := newPeer(t, "tcp4", "127.0.0.1:0")
	p.row = track(t, s, instance.addr)
	heard := listen(t, s)
	if !s.LiveBytesIn() {
		t.Error("a sample has the bytes that came in")
	}

	ours, theirs := p.dial(t, instance)
	pass(t, ours, theirs, 5000)
	pass(t, theirs, ours, 7000)
	until(t, s, p.row, "the connection and its bytes are sampled", func(c Counters) bool {
		return c.Active == 1 && c.Total == 1 && c.BytesOut >= 5000 && c.BytesIn == 7000 && c.SRTTMicros > 0
	})
	f := func(want Kind, end func(theirs *net.TCPConn)) {
		t.Helper()
		ours, theirs := p.dial(t, instance)
		cookie := cookieOf(t, ours)
		until(t, s, p.row, "the connection is sampled", func(c Counters) bool { return c.Active == 2 })
		end(theirs)
		if e := heard.next(want); e.Cookie != cookie || e.Row != uint32(p.row) {
			t.Errorf("%+v, want cookie %d", e, cookie)
		}
	}
	f(PeerClosed, func(theirs *net.TCPConn) { theirs.Close() })
	f(Reset, reset)

	if os.Geteuid() != 0 {
		t.Skip("needs root from here on: some kernels refuse socket filters to others")
	}
	deafen(t, theirs)
	if _, err := ours.Write(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	heard.next(Timeout)
	c := counters(s, p.row)
	if c.PeerClosed != 1 || c.Resets != 1 || c.Timeouts == 0 || c.Retransmits == 0 {
		t.Errorf("the row says %+v", c)
	}
	s.Close()
	s.Close() // twice does no harm
}

func TestTCPInfoForgetsConnections(t *testing.T) {
	p := &pool{conns: make(map[uint64]*net.TCPConn)}
	s := open(t, TCPInfo, func(o *Options) { o.Sample = p.sample }).(*tcpInfo)
	instance := newPeer(t, "tcp4", "127.0.0.1:0")
	p.row = track(t, s, instance.addr)
	p.dial(t, instance)
	s.take(func(Event) {})
	if len(s.conns) != 1 {
		t.Fatalf("%d connections are known, want 1", len(s.conns))
	}
	clear(p.conns)
	s.take(func(Event) {})
	if c := counters(s, p.row); len(s.conns) != 0 || c.Active != 0 || c.Total != 1 {
		t.Errorf("%d connections are known, the row says %+v", len(s.conns), c)
	}
}
