package dataplane

import (
	"sync"
	"time"

	"penstock/scheduler"
)

// sweepEvery is how exact the data plane's time-outs are. One look at all
// connections costs less than a timer a token would.
const sweepEvery = 100 * time.Millisecond

// clients is the table of all client connections, for the sweeper and for the
// end.
type clients struct {
	mu  sync.Mutex
	all []*client
	why uint32 // everybody has to end, who comes now too
}

// add says why c has to end, stopNone if it has not.
func (t *clients) add(c *client) (why uint32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c.slot = len(t.all)
	t.all = append(t.all, c)
	return t.why
}

func (t *clients) remove(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.all) - 1
	t.all[c.slot] = t.all[n]
	t.all[c.slot].slot = c.slot
	t.all[n] = nil
	t.all = t.all[:n]
}

func (t *clients) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// late returns the clients whose deadline has passed. Few are: they are told
// outside the lock.
func (t *clients) late(now int64, dst []lateClient) []lateClient {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if d := c.deadline.Load(); d != 0 && now >= d {
			dst = append(dst, lateClient{c, d})
		}
	}
	return dst
}

// stuck returns the clients whose request an instance that hangs keeps without
// a byte.
func (t *clients) stuck(dst []stuckClient) []stuckClient {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.all {
		if at := c.waitsFor.Load(); at != nil && at.Stuck() {
			dst = append(dst, stuckClient{c, at})
		}
	}
	return dst
}

type stuckClient struct {
	c  *client
	at *scheduler.Instance
}

type lateClient struct {
	c        *client
	deadline int64
}

// interrupt ends every client's work.
func (t *clients) interrupt(why uint32) {
	t.mu.Lock()
	t.why = why
	all := append([]*client(nil), t.all...)
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
	var late []lateClient
	var stuck []stuckClient
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			late = g.clients.late(g.now(), late[:0])
			for _, l := range late {
				l.c.expire(l.deadline)
			}
			clear(late)
			stuck = g.clients.stuck(stuck[:0])
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
			g.holder.freed()
			g.account.rotate(now)
		}
	}
}
