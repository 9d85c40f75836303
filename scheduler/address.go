package scheduler

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// resolveEvery is how often host names are looked up again: a name that
	// moves is followed within that.
	resolveEvery = 5 * time.Second
	// resolveTimeout bounds one look-up.
	resolveTimeout = 2 * time.Second
	// resolveAtOnce bounds how many look-ups run at a time.
	resolveAtOnce = 16
)

// address is where an instance is reached. A host name is kept resolved, so
// that no request waits for DNS, and its warm connections can be dropped when
// the name moves: nobody would notice otherwise as long as the old host lives.
type address struct {
	host, port string
	named      bool
	to         atomic.Pointer[string] // host:port, the host an IP address where it is known
}

func (a *address) init(host, port string) {
	a.host, a.port = host, port
	a.named = net.ParseIP(hostWithoutZone(host)) == nil
	to := net.JoinHostPort(host, port)
	a.to.Store(&to)
}

func (a *address) dial() string { return *a.to.Load() }

// found takes the addresses that the name has now. It says whether the one in
// use has changed from another address.
func (a *address) found(ips []string) (moved bool) {
	old := a.dial()
	host, _, _ := net.SplitHostPort(old)
	if len(ips) == 0 || slices.Contains(ips, host) {
		return false
	}
	to := net.JoinHostPort(ips[0], a.port)
	a.to.Store(&to)
	return host != a.host
}

// hostWithoutZone drops an IPv6 zone, which net.ParseIP does not take.
func hostWithoutZone(host string) string {
	for n := range len(host) {
		if host[n] == '%' {
			return host[:n]
		}
	}
	return host
}

// resolver keeps the fleet's host names resolved.
type resolver struct {
	lookup func(ctx context.Context, host string) ([]string, error)
}

// run looks all names up, again and again, until ctx ends.
func (r *resolver) run(ctx context.Context, s *Scheduler) {
	tick := time.NewTicker(resolveEvery)
	defer tick.Stop()
	for {
		r.round(ctx, s)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round looks each name up once. A failed look-up leaves the address as it is.
func (r *resolver) round(ctx context.Context, s *Scheduler) {
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, resolveAtOnce)
	for _, i := range s.Instances() {
		if !i.address.named {
			continue
		}
		slots <- struct{}{}
		under.Go(func() {
			defer func() { <-slots }()
			r.resolve(ctx, s, i)
		})
	}
}

func (r *resolver) resolve(ctx context.Context, s *Scheduler, i *Instance) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	ips, err := r.lookup(ctx, i.address.host)
	if err != nil {
		return
	}
	old := i.Addr()
	if !i.address.found(ips) {
		return
	}
	i.log.Info("instance has another address", "was", old, "is", i.Addr())
	if moved := s.fleet.onMoved.Load(); moved != nil {
		(*moved)(i)
	}
	i.wake()
}
