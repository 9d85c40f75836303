package dataplane

import (
	"sync"
	"time"

	"penstock/scheduler"
)

// sweepEvery is how exact the data plane's time-outs are. One look at all
// connections costs less than a timer a token would.
const sweepEvery = 100 * time.Millisecond

// calls is the table of all calls, for the sweeper and for the end.
type calls struct {
	mu  sync.Mutex
	all []*call
	why uint32 // everybody has to end, who comes now too
}

// add says why c has to end, stopNone if it has not.
func (t *calls) add(c *call) (why uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.slot = len(t.all)
	t.all = append(t.all, c)
	return t.why
}

func (t *calls) remove(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.all) - 1
	t.all[c.slot] = t.all[n]
	t.all[c.slot].slot = c.slot
	t.all[n] = nil
	t.all = t.all[:n]
}

// late returns the calls whose deadline has passed. Few are: they are told
// outside the lock.
func (t *calls) late(now int64, dst []lateCall) []lateCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if d := c.deadline.Load(); d != 0 && now >= d {
			dst = append(dst, lateCall{c, d})
		}
	}
	return dst
}

// stuck returns the calls whose request an instance that hangs keeps without a
// byte.
func (t *calls) stuck(dst []stuckCall) []stuckCall {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if at := c.waitsFor.Load(); at != nil && at.Stuck() {
			dst = append(dst, stuckCall{c, at})
		}
	}
	return dst
}

type stuckCall struct {
	c  *call
	at *scheduler.Instance
}

type lateCall struct {
	c        *call
	deadline int64
}

// interrupt ends every call's work.
func (t *calls) interrupt(why uint32) {
	t.mu.Lock()
	t.why = why
	all := append([]*call(nil), t.all...)
	t.mu.Unlock()
	for _, c := range all {
		c.interrupt(why)
	}
}

// sweep runs until stop: time-outs of clients and requests, idle connections
// to engines, and a nudge for whoever waits with a time limit.
func (g *Gateway) sweep(stop <-chan struct{}) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var late []lateCall
	var stuck []stuckCall
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			late = g.calls.late(g.now(), late[:0])
			for _, l := range late {
				l.c.expire(l.deadline)
			}
			clear(late)
			stuck = g.calls.stuck(stuck[:0])
			for _, s := range stuck {
				s.c.unhang(s.at)
			}
			clear(stuck)
			for _, st := range g.stations.all() {
				if st.inst.Stuck() {
					st.warm.abandon()
				}
				st.warm.sweep(now)
			}
			if g.Draining() { // those that have nothing under way need not wait for the others
				for _, b := range g.sockets.idle() {
					b.interrupt(stopDrain)
				}
				for _, t := range g.sockets.quiet() {
					t.interrupt(stopDrain)
				}
			}
			g.holder.freed()
			g.account.rotate(now)
		}
	}
}
