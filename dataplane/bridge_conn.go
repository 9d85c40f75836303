package dataplane

import (
	"errors"
	"net"
	"time"

	"github.com/fasthttp/websocket"
)

// bridgeConn is the connection as the library reads and writes it: it asks a
// silent client whether it is there, and sets deadlines where no interruption has
// set one; the library's own mean nothing.
type bridgeConn struct {
	net.Conn
	b *bridge
}

var (
	errSilent   = errors.New("the client does not answer")
	errSlow     = errors.New("a message takes too long to come")
	errIdle     = errors.New("nothing was asked for long")
	errInflated = errors.New("the message is larger than it may be")
	errNoRoom   = errors.New("as many request bytes are held as may be")
	errNoText   = errors.New("a text message is not UTF-8")
)

func (w *bridgeConn) SetDeadline(time.Time) error      { return nil }
func (w *bridgeConn) SetWriteDeadline(time.Time) error { return nil }

// Write gives a client that reads nothing limits.stall_timeout, whoever writes:
// the library answers pings by itself.
func (w *bridgeConn) Write(p []byte) (int, error) {
	if !w.b.mayWrite() {
		return 0, net.ErrClosed
	}
	n, err := w.Conn.Write(p)
	if err != nil { // who goes on to ask would never hear anything
		w.b.interrupt(stopLeft)
	}
	return n, err
}

func (b *bridge) mayWrite() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.stop.Load() {
	case stopLeft:
		return false
	case stopNone:
		if !b.leaving { // else lastWords is what there is
			b.conn.SetWriteDeadline(time.Now().Add(b.g.cfg.Limits.StallTimeout))
		}
	}
	return true
}

func (w *bridgeConn) Read(p []byte) (int, error) {
	b := w.b
	for {
		if err := b.arm(); err != nil {
			return 0, err
		}
		n, err := w.Conn.Read(p)
		now := b.g.now()
		if n > 0 {
			b.heard = now
			return n, nil
		}
		if !isTimeout(err) || b.stop.Load() != stopNone {
			return n, err
		}
		if err := b.wonder(now); err != nil {
			return 0, err
		}
	}
}

// arm bounds the next read by what is next, a ping, the end of a message's time or
// of the connection's; an error: the connection is to end.
func (b *bridge) arm() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, limit := b.g.now(), int64(b.g.cfg.WebSocket.IdleTimeout)
	next := max(b.heard, b.asked) + int64(b.g.pingEvery)
	switch {
	case b.stop.Load() != stopNone:
		return net.ErrClosed
	case b.due > 0 && now >= b.due:
		return errSlow
	case b.due > 0:
		next = min(next, b.due)
	case limit > 0 && b.active == 0 && now-b.used >= limit:
		return errIdle
	case limit > 0 && b.active == 0:
		next = min(next, b.used+limit)
	}
	b.wake(now, next)
	return nil
}

// wake bounds a read. With mu held.
func (b *bridge) wake(now, at int64) {
	b.wakes = at
	b.conn.SetReadDeadline(time.Now().Add(time.Duration(at - now)))
}

// rested notes that a goroutine of a message is done: if it was the last, the idle
// time begins, and may be over before the reader would look. With mu held.
func (b *bridge) rested() {
	b.active--
	b.used = b.g.now()
	limit := int64(b.g.cfg.WebSocket.IdleTimeout)
	if limit > 0 && b.active == 0 && b.stop.Load() == stopNone && b.used+limit < b.wakes {
		b.wake(b.used, b.used+limit)
	}
}

// wonder asks a client that has been silent whether it is there, unless it was
// asked in vain already.
func (b *bridge) wonder(now int64) error {
	if now-max(b.heard, b.asked) < int64(b.g.pingEvery) {
		return nil // it is another time that is over
	}
	if b.heard < b.asked {
		return errSilent
	}
	err := b.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(b.g.cfg.Limits.StallTimeout))
	b.asked = b.g.now() // it may have taken long
	return err
}

// interrupt ends the connection, whatever its goroutine is blocked in.
func (b *bridge) interrupt(why uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stop.CompareAndSwap(stopNone, why) {
		return
	}
	b.conn.SetReadDeadline(past)
	if why == stopLeft {
		b.conn.SetWriteDeadline(past)
	} else { // it is still told why, if it takes it
		b.conn.SetWriteDeadline(time.Now().Add(lastWords))
	}
}
