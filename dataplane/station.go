package dataplane

import (
	"net/url"
	"strings"
	"sync/atomic"

	"penstock/dataplane/ring"
	"penstock/scheduler"
)

// ringSize is how many requests can enter a station's line between two looks
// of the holder. The line itself is bounded by queue.max_size.
const ringSize = 256

// station is what the data plane keeps of one instance.
type station struct {
	inst    *scheduler.Instance
	warm    *warm
	ring    *ring.Ring[*waiter]
	pending atomic.Int64 // requests that wait here
	gone    atomic.Bool  // it is out of the table

	base    string // the path of the instance's URL, before every request's own
	fixed   []byte // header lines that every request to it gets
	ownAuth bool   // fixed has the instance's own key
}

func (g *Gateway) newStation(inst *scheduler.Instance) *station {
	st := &station{
		inst: inst,
		warm: &warm{inst: inst, addr: inst.Addr, dial: g.dial, watch: g.watch, limit: idleLimit},
		ring: ring.New[*waiter](ringSize),
	}
	if u, err := url.Parse(inst.URL); err == nil { // the scheduler has checked it
		st.base = strings.TrimSuffix(u.EscapedPath(), "/")
	}
	st.fixed = append(st.fixed, "Host: "+inst.Host+"\r\n"...)
	if inst.APIKey != "" {
		st.ownAuth = true
		st.fixed = append(st.fixed, "Authorization: Bearer "+inst.APIKey+"\r\n"...)
	}
	return st
}

// PendingAt is how many requests are held whose first choice i was.
func (g *Gateway) PendingAt(i *scheduler.Instance) int { return int(g.stations.look(i).pending.Load()) }
