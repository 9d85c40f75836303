package load

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// connectTimeout bounds TCP's handshake.
const connectTimeout = 5 * time.Second

// errStale is a write to a kept connection that the server has closed. Nothing
// was sent, so that the request may take another one.
var errStale = errors.New("the server closed the idle connection")

// connectError is a connection that did not come about.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// dialer opens connections and can close all of them at once, which is the one
// way to interrupt fasthttp.
type dialer struct {
	ctx  context.Context
	shut context.CancelFunc // lets no connection come about any more

	mu   sync.Mutex
	open map[*conn]struct{}
}

func newDialer() *dialer {
	d := &dialer{open: make(map[*conn]struct{})}
	d.ctx, d.shut = context.WithCancel(context.Background())
	return d
}

// dial opens a connection to addr. Any goroutine may call it.
func (d *dialer) dial(addr string) (net.Conn, error) {
	c, err := d.connect(addr)
	if err != nil {
		return nil, &connectError{err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.ctx.Err(); err != nil {
		c.Conn.Close()
		return nil, &connectError{err}
	}
	d.open[c] = struct{}{}
	return c, nil
}

func (d *dialer) connect(addr string) (*conn, error) {
	tcp := net.Dialer{Timeout: connectTimeout}
	nc, err := tcp.DialContext(d.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		nc.Close()
		return nil, err
	}
	return newConn(nc, raw, d), nil
}

// close ends every connection, now and in future.
func (d *dialer) close() {
	d.shut()
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.open {
		c.Conn.Close()
	}
	clear(d.open)
}

// conn is a connection that looks, before it carries another request, whether
// the server is still there. A generator that finds out by failing would count
// errors that no client with a pool of its own shows.
type conn struct {
	net.Conn
	home     *dialer
	raw      syscall.RawConn
	answered bool // read since the last write
	alive    bool
	look     func(fd uintptr) bool // made once: it sets alive
}

func newConn(nc net.Conn, raw syscall.RawConn, home *dialer) *conn {
	c := &conn{Conn: nc, home: home, raw: raw}
	c.look = func(fd uintptr) bool {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		c.alive = err == unix.EAGAIN || n > 0
		return true // do not wait
	}
	return c
}

func (c *conn) Read(p []byte) (int, error) {
	c.answered = true
	return c.Conn.Read(p)
}

func (c *conn) Write(p []byte) (int, error) {
	if c.answered {
		c.answered = false
		if err := c.raw.Read(c.look); err != nil || !c.alive {
			return 0, errStale
		}
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.home.mu.Lock()
	delete(c.home.open, c)
	c.home.mu.Unlock()
	return c.Conn.Close()
}
