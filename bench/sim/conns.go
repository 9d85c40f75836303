package sim

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// conns are the open connections of one instance: net/http keeps them to
// itself, and Server.Close does not wait for their goroutines. One that has
// become a WebSocket stays hijacked until its handler has left it.
type conns struct {
	least, most time.Duration // a connection is closed at random when it has been idle for so long; least 0: never

	mu   sync.Mutex
	open map[net.Conn]http.ConnState
	none sync.Cond
}

func newConns(least, most time.Duration) *conns {
	c := &conns{least: least, most: most, open: make(map[net.Conn]http.ConnState)}
	c.none.L = &c.mu
	return c
}

// changed is the server's ConnState.
func (c *conns) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed {
		c.forget(conn)
		return
	}
	c.open[conn] = state
	if state == http.StateIdle && c.least > 0 {
		time.AfterFunc(c.least+rand.N(c.most-c.least+1), func() { c.closeIfIdle(conn) })
	}
}

// forget takes out one whose goroutine has ended. The caller holds mu.
func (c *conns) forget(conn net.Conn) {
	delete(c.open, conn)
	if len(c.open) == 0 {
		c.none.Broadcast()
	}
}

// left says that a handler has done with a connection, if it was hijacked: of
// such a one net/http says no more.
func (c *conns) left(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[conn] == http.StateHijacked {
		conn.Close()
		c.forget(conn)
	}
}

func (c *conns) closeIfIdle(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state, open := c.open[conn]; open && idle(state) {
		conn.Close()
	}
}

// close closes all, and returns when their goroutines have ended.
func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		conn.Close()
	}
	for len(c.open) > 0 {
		c.none.Wait()
	}
}

// closeIdle closes those without a request.
func (c *conns) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, state := range c.open {
		if idle(state) {
			conn.Close()
		}
	}
}

// idle says whether no request is on a connection.
func idle(state http.ConnState) bool { return state == http.StateNew || state == http.StateIdle }

// closeHijacked closes those that Server.Close knows nothing of.
func (c *conns) closeHijacked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, state := range c.open {
		if state == http.StateHijacked {
			conn.Close()
		}
	}
}

// reset breaks all but one with RST.
func (c *conns) reset(but net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		if conn != but {
			reset(conn)
		}
	}
}

// reset breaks one connection: what is closed without lingering sends RST.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

type connKey struct{}

// withConn is the server's ConnContext: a request knows its connection.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

func connOf(r *http.Request) net.Conn {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	return conn
}
