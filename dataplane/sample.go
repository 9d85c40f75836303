package dataplane

import (
	"golang.org/x/sys/unix"

	"penstock/bpf"
)

// Sample shows every connection to an engine, idle or with a request, with its
// row and the number that no other has: where the kernel runs no program of
// ours, it is asked about each.
func (g *Gateway) Sample(yield func(row int, cookie uint64, info *unix.TCPInfo)) {
	for _, st := range g.stations.all() {
		if row, ok := st.inst.Row(); ok {
			for _, c := range st.warm.snapshot() {
				c.sample(row, yield)
			}
		}
	}
	for _, c := range g.calls.carried() {
		if row, ok := c.home.inst.Row(); ok {
			c.sample(row, yield)
		}
	}
}

// sample may come when c is closed: then there is nothing to see.
func (c *engineConn) sample(row int, yield func(row int, cookie uint64, info *unix.TCPInfo)) {
	_ = c.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		if cookie, err := bpf.SocketCookie(int(fd)); err == nil {
			yield(row, cookie, info)
		}
	})
}

// snapshot is a copy of the idle connections.
func (p *warm) snapshot() []*engineConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*engineConn(nil), p.idle...)
}

// carried are the engines' connections that carry a request now.
func (t *calls) carried() (conns []*engineConn) {
	t.mu.Lock()
	all := append([]*call(nil), t.all...)
	t.mu.Unlock()
	for _, c := range all {
		c.mu.Lock()
		if c.up != nil {
			conns = append(conns, c.up)
		}
		c.mu.Unlock()
	}
	return conns
}
