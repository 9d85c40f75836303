package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// load is a number of clients of one address, each with a connection and one
// request under way at a time; a stream never ends by itself.
type load struct {
	loop    *loop
	to      netip.AddrPort
	request []byte
	pace    *pace // nil: closed loop

	clients []*client
	toOpen  int           // clients that are still to be opened
	gap     time.Duration // mean time between two openings, exponential; 0: all at once
	nextAt  int64
	dice    *rand.Rand

	tally
}

// tally is what a load has counted since it was last taken.
type tally struct {
	answers int     // whole answers
	events  int     // events of streams
	failed  int     // connections that ended before their answer did, other statuses than 200
	ns      []int64 // latency of each answer, or of each event from the engine's write to here
}

// startLoad opens count clients that send request over and over. Call it on
// the loop's goroutine.
func startLoad(l *loop, to netip.AddrPort, request []byte, count int, gap time.Duration) *load {
	ld := &load{loop: l, to: to, request: request, toOpen: count, gap: gap, nextAt: l.now, dice: rand.New(rand.NewPCG(1, 2))}
	l.timers = append(l.timers, ld)
	return ld
}

// tick opens the clients that are due. Streams open at random times, so that
// their events do not come in step.
func (ld *load) tick(now int64) int64 {
	for ld.toOpen > 0 {
		if ld.nextAt > now {
			return ld.nextAt
		}
		ld.toOpen--
		ld.nextAt += int64(ld.dice.ExpFloat64() * float64(ld.gap))
		c := &client{load: ld}
		ld.clients = append(ld.clients, c)
		c.connect()
	}
	if ld.pace != nil {
		return ld.pace.tick(now)
	}
	return never
}

// take gives what was counted and begins anew.
func (ld *load) take() tally {
	t := ld.tally
	ld.tally = tally{ns: make([]int64, 0, cap(t.ns))}
	return t
}

func (ld *load) close() {
	for _, c := range ld.clients {
		ld.loop.close(c.fd)
	}
	for i, t := range ld.loop.timers {
		if t == timer(ld) {
			ld.loop.timers = append(ld.loop.timers[:i], ld.loop.timers[i+1:]...)
			return
		}
	}
}

// client is one connection with its request under way.
type client struct {
	load    *load
	fd      int
	out     []byte // of the request, still to be written
	waiting bool   // for room to write
	began   int64

	inBody  bool
	chunked bool
	left    int64
	acc     []byte // what must be seen again: a head that is not whole, the last bytes of a stream
}

func (c *client) connect() {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(fmt.Sprintf("opening a client's socket: %v", err))
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	c.fd, c.out, c.waiting, c.inBody, c.acc = fd, c.load.request, true, false, c.acc[:0]
	c.began = monotonic()
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: c.load.to.Addr().As4(), Port: int(c.load.to.Port())})
	if err != nil && err != unix.EINPROGRESS {
		panic(fmt.Sprintf("connecting to %v: %v", c.load.to, err))
	}
	c.load.loop.add(fd, c, unix.EPOLLIN|unix.EPOLLOUT)
}

func (c *client) ready(events uint32) {
	if events&unix.EPOLLERR != 0 {
		c.fail()
		return
	}
	if events&unix.EPOLLOUT != 0 && c.waiting {
		c.send()
	}
	if events&unix.EPOLLIN == 0 {
		return
	}
	p, again := c.load.loop.read(c.fd)
	if again {
		return
	}
	if p == nil {
		c.fail()
		return
	}
	c.receive(p)
}

// fail counts the connection and opens another.
func (c *client) fail() {
	c.load.failed++
	c.load.loop.close(c.fd)
	c.connect()
}

func (c *client) send() {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if err != nil {
			c.wait(true)
			return
		}
		c.out = c.out[n:]
	}
	c.wait(false)
}

// wait asks to be told of room to write, or not to be.
func (c *client) wait(on bool) {
	if c.waiting == on {
		return
	}
	c.waiting = on
	events := uint32(unix.EPOLLIN)
	if on {
		events |= unix.EPOLLOUT
	}
	c.load.loop.modify(c.fd, events)
}

func (c *client) receive(p []byte) {
	if len(c.acc) > 0 {
		c.acc = append(c.acc, p...)
		p = c.acc
	}
	if !c.inBody {
		h, n := parseHead(p)
		if n == 0 {
			c.acc = append(c.acc[:0], p...)
			return
		}
		if !bytes.HasPrefix(h.line, []byte("HTTP/1.1 200")) {
			c.fail()
			return
		}
		c.inBody, c.chunked, c.left = true, h.chunked, h.length
		p = p[n:]
	}
	if c.chunked {
		c.receiveChunked(p)
		return
	}
	c.acc = c.acc[:0]
	if c.left -= int64(len(p)); c.left <= 0 {
		c.finish()
	}
}

func (c *client) receiveChunked(p []byte) {
	now := monotonic()
	keep := stamps(p, func(sent int64) {
		c.load.events++
		c.load.ns = append(c.load.ns, now-sent)
	})
	ended := bytes.HasSuffix(p, lastChunk)
	c.acc = append(c.acc[:0], p[len(p)-keep:]...)
	if ended {
		c.finish()
	}
}

// finish counts the answer and sends the next request, now or when it is due.
func (c *client) finish() {
	now := monotonic()
	c.load.answers++
	if !c.chunked {
		c.load.ns = append(c.load.ns, now-c.began)
	}
	if p := c.load.pace; p != nil {
		p.free(c)
		return
	}
	c.begin(now)
}

// begin sends a request whose latency counts from at.
func (c *client) begin(at int64) {
	c.inBody, c.began, c.out = false, at, c.load.request
	c.acc = c.acc[:0]
	c.send()
}
