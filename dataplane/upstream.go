package dataplane

import (
	"net"
	"sync"
	"time"
)

// upstream is the instance's side of a tunnel: what the client says goes there,
// and is kept until the instance has said something, to be said again to another.
// The goroutine that hears the client calls say and leave, the client's own the
// rest.
type upstream struct {
	stall time.Duration // how long an instance may take nothing

	// An instance that reads nothing blocks who holds writing, and nobody else.
	writing sync.Mutex
	replay  sync.WaitGroup // of what was said, to the instance that took over

	mu       sync.Mutex
	conn     net.Conn // nil while there is none
	said     []byte   // until it has answered
	answered bool
	lost     bool // what was said is not whole, or the next has other terms: no other may take over
	left     bool // the client has
	parting  bool // the tunnel ends: what is still written has lastWords
}

// mostSaid is how much of what a client says is kept for the case that the
// instance dies before it answers.
const mostSaid = 256 << 10

// attach makes a connection the instance's, and says there what was said already:
// meanwhile what the instance says is read. false: what was said is not whole any
// more, and an instance that heard the rest alone would take it for all.
func (u *upstream) attach(conn net.Conn) bool {
	u.writing.Lock()
	u.mu.Lock()
	if u.lost {
		u.mu.Unlock()
		u.writing.Unlock()
		return false
	}
	u.conn = conn
	said := u.said
	if u.left || u.parting {
		conn.SetReadDeadline(past)
	}
	u.mu.Unlock()
	u.replay.Go(func() {
		defer u.writing.Unlock()
		if len(said) > 0 {
			u.write(conn, said)
		}
	})
	return true
}

// detach lets a connection go: nobody writes there any more.
func (u *upstream) detach(conn net.Conn) {
	u.mu.Lock()
	conn.SetDeadline(past)
	u.conn = nil
	u.mu.Unlock()
	u.replay.Wait()
}

// say gives the instance what the client said, and keeps it while it may have to
// be said again.
func (u *upstream) say(p []byte) {
	u.writing.Lock()
	defer u.writing.Unlock()
	if conn := u.keep(p); conn != nil {
		u.write(conn, p)
	}
}

func (u *upstream) keep(p []byte) net.Conn {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.answered || u.lost:
	case len(u.said)+len(p) > mostSaid:
		u.lost, u.said = true, nil
	default:
		u.said = append(u.said, p...)
	}
	return u.conn
}

// write gives up a connection that does not take all: behind a hole, nothing of
// what follows would be a frame. One that is closed may have said something
// before that is still to be read.
func (u *upstream) write(conn net.Conn, p []byte) {
	u.mu.Lock()
	if u.conn == conn { // else its deadline is past
		conn.SetWriteDeadline(time.Now().Add(u.patience()))
	}
	u.mu.Unlock()
	_, err := conn.Write(p)
	if err == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != conn {
		return
	}
	if u.conn = nil; isTimeout(err) {
		conn.SetReadDeadline(past)
	}
}

// spoke notes that the instance has said something: nothing is said again.
func (u *upstream) spoke() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.answered, u.said = true, nil
}

func (u *upstream) hasAnswered() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.answered
}

// lose notes that no other instance may take this one's place.
func (u *upstream) lose() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lost, u.said = true, nil
}

func (u *upstream) isLost() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lost
}

// leave says that the client has left, or said goodbye.
func (u *upstream) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left = true
	u.end()
}

func (u *upstream) hasLeft() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.left
}

// interrupt ends what blocks on the instance.
func (u *upstream) interrupt() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
}

// part wakes whoever reads from the instance, and gives what is written lastWords.
func (u *upstream) part() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parting = true
	u.end()
}

func (u *upstream) patience() time.Duration {
	if u.parting {
		return lastWords
	}
	return u.stall
}

func (u *upstream) end() {
	switch {
	case u.conn == nil:
	case u.parting:
		u.conn.SetReadDeadline(past)
		u.conn.SetWriteDeadline(time.Now().Add(lastWords))
	default:
		u.conn.SetDeadline(past)
	}
}
