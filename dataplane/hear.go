package dataplane

import (
	"math"
	"time"

	"github.com/fasthttp/websocket"
)

// hear moves what the client says. Who has left ends the request, also while
// another instance is to take over.
func (t *tunnel) hear() {
	defer t.interrupt(stopLeft)
	defer t.far.leave()
	defer t.g.survive()
	whole := false
	defer func() {
		if !whole {
			t.part(websocket.CloseInternalServerErr, refuseInternal.msg)
		}
	}()
	t.even = true
	t.listen()
	if bye := t.parting.Load(); bye != nil && t.even && !t.in.closing {
		t.far.say(masked(closeFrame(bye.code, bye.why)))
	}
	whole = true
}

// listen reads until there is nothing more to be heard, and asks a silent client
// whether it is there.
func (t *tunnel) listen() {
	b := getBuffer(minBuffer)
	defer putBuffer(b)
	last, asked := t.g.now(), false // when it was last heard, or asked
	for t.arm(last) {
		n, err := t.conn.Read(b.b)
		now := t.g.now()
		switch {
		case n > 0:
			last, asked = now, false
			if !t.take(b.b[:n]) {
				return
			}
		case t.parting.Load() != nil && isTimeout(err): // arm sees to it
		case !isTimeout(err) || t.stop.Load() != stopNone:
			return
		case t.idleFor(now) >= t.idleLimit():
			t.part(websocket.CloseGoingAway, "nothing has passed for long (websocket.idle_timeout)")
		case now-last < int64(t.g.pingEvery): // something has passed since
		case asked:
			return
		default: // it listens, while a frame is under way
			asked = t.ping()
			last = t.g.now() // it may have taken long
		}
	}
}

// take gives the instance what the client said; false: nothing more of it.
func (t *tunnel) take(p []byte) (more bool) {
	t.inward.Store(true)
	before := t.in.messages
	n, data, more := t.follow(p)
	if t.in.closing { // before the instance hears of it
		t.bidden.Store(true)
	}
	t.g.sockets.tunnels.in.Add(uint64(t.in.messages - before))
	t.far.say(p[:n])
	t.note(data)
	t.inward.Store(t.in.open)
	return more
}

// follow says how much of what the client said goes on to the instance: no frame
// that makes a message too large, and where the tunnel ends, no more than the rest
// of the frame under way.
func (t *tunnel) follow(p []byte) (n int, data, more bool) {
	for n < len(p) {
		t.even = t.in.between()
		if t.even && t.parting.Load() != nil {
			return n, data, false
		}
		k, some := t.in.next(p[n:])
		if t.in.size > uint64(t.g.cfg.Limits.BodyBytes) {
			t.part(websocket.CloseMessageTooBig, "a message is larger than limits.body_bytes")
			return n, data, false
		}
		n, data = n+k, data || some
	}
	t.even = t.in.between()
	return n, data, true
}

// arm bounds the next read by what is next, a ping or the end of the idle time, for
// one who was last heard, or asked, then; false: the tunnel is to end.
func (t *tunnel) arm(last int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch bye := t.parting.Load(); {
	case bye != nil && (t.in.between() || bye.late()):
		return false
	case bye != nil:
		t.conn.SetReadDeadline(bye.until)
	case t.stop.Load() != stopNone:
		return false
	default:
		now := t.g.now()
		wait := min(last+int64(t.g.pingEvery)-now, t.idleLimit()-t.idleFor(now))
		t.conn.SetReadDeadline(time.Now().Add(time.Duration(wait)))
	}
	return true
}

// idleFor is how long nothing has passed, ns.
func (t *tunnel) idleFor(now int64) int64 { return now - t.moved.Load() }

// idleLimit is how long that may be.
func (t *tunnel) idleLimit() int64 {
	if limit := t.g.cfg.WebSocket.IdleTimeout; limit > 0 {
		return int64(limit)
	}
	return math.MaxInt64
}
