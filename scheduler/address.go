package scheduler

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
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
	// tryEvery is how often the other addresses of a name are tried while its
	// instance is not in order, and tryTimeout bounds one connect.
	tryEvery   = 500 * time.Millisecond
	tryTimeout = 500 * time.Millisecond
	// mostAddresses of a name are known.
	mostAddresses = 16
)

// address is where an instance is reached. A host name is kept resolved, so
// that no request waits for DNS, and its warm connections can be dropped when
// the name moves: nobody would notice otherwise as long as the old host lives.
type address struct {
	host, port string
	named      bool
	to         atomic.Pointer[string]   // host:port, the host an IP address where it is known
	ips        atomic.Pointer[[]string] // of the name, as last looked up
}

func (a *address) init(host, port string) {
	a.host, a.port = host, port
	a.named = net.ParseIP(hostWithoutZone(host)) == nil
	to := net.JoinHostPort(host, port)
	a.to.Store(&to)
}

func (a *address) dial() string { return *a.to.Load() }

// use takes another host to dial, of the name's addresses or the name itself:
// then the dialer tries them all. It says whether what was in use was another
// address, to which idle connections may lead.
func (a *address) use(host string) (moved bool) {
	old, _, _ := net.SplitHostPort(a.dial())
	if old == host {
		return false
	}
	to := net.JoinHostPort(host, a.port)
	a.to.Store(&to)
	return old != a.host && host != a.host
}

// known are the addresses that the name had last.
func (a *address) known() []string {
	if ips := a.ips.Load(); ips != nil {
		return *ips
	}
	return nil
}

// best is the address to use of those that the name has. One that is in use, and
// is the name's still, stays while all is well; else it is the first that takes
// a connection: of a name with both an IPv4 and an IPv6 address, engines often
// listen on the one alone.
func (a *address) best(ctx context.Context, ips []string, well bool, connect connector) string {
	old, _, _ := net.SplitHostPort(a.dial())
	switch known := slices.Contains(ips, old); {
	case len(ips) == 0, known && well:
		return old
	case len(ips) == 1:
		return ips[0]
	case known: // it has the first try
		ips = append([]string{old}, slices.DeleteFunc(slices.Clone(ips), func(ip string) bool { return ip == old })...)
	}
	takes := make([]bool, len(ips))
	var trying sync.WaitGroup
	for n, ip := range ips {
		trying.Go(func() { takes[n] = connect(ctx, net.JoinHostPort(ip, a.port)) == nil })
	}
	trying.Wait()
	if n := slices.Index(takes, true); n >= 0 {
		return ips[n]
	}
	return a.host // nobody is there yet: whichever comes first will be it
}

// connector says whether an address takes a connection.
type connector func(ctx context.Context, addr string) error

func connect(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		c.Close()
	}
	return err
}

// CanonicalURL is the one form of an instance's URL, http://host:port: one URL
// is one instance, however its address is written. What is no such URL, or lacks
// the port, stays as it is.
func CanonicalURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return s
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	} else {
		host = strings.TrimSuffix(strings.ToLower(host), ".")
	}
	if u.Port() == "" {
		return s
	}
	return (&url.URL{Scheme: "http", Host: net.JoinHostPort(host, u.Port())}).String()
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
	look, try := time.NewTicker(resolveEvery), time.NewTicker(tryEvery)
	defer look.Stop()
	defer try.Stop()
	for r.round(ctx, s); ; {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			r.round(ctx, s)
		case <-try.C:
			r.retry(ctx, s)
		}
	}
}

// round looks each name up once. A failed look-up leaves the address as it is.
func (r *resolver) round(ctx context.Context, s *Scheduler) {
	each(s.Instances(), func(i *Instance) bool { return i.address.named }, func(i *Instance) { r.resolve(ctx, s, i) })
}

// retry tries the other addresses of instances that are not in order.
func (r *resolver) retry(ctx context.Context, s *Scheduler) {
	doubtful := func(i *Instance) bool { return len(i.address.known()) > 1 && !i.inOrder() }
	each(s.Instances(), doubtful, func(i *Instance) { s.readdress(ctx, i, i.address.known()) })
}

// each runs f for those that are meant, a few at a time, and waits for all.
func each(list []*Instance, meant func(*Instance) bool, f func(*Instance)) {
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, resolveAtOnce)
	for _, i := range list {
		if !meant(i) {
			continue
		}
		slots <- struct{}{}
		under.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
}

func (r *resolver) resolve(ctx context.Context, s *Scheduler, i *Instance) {
	look, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	ips, err := r.lookup(look, i.address.host)
	if err != nil {
		return
	}
	ips = ips[:min(len(ips), mostAddresses)]
	i.address.ips.Store(&ips)
	s.readdress(ctx, i, ips)
}

// readdress takes the best of the addresses, and tells whom it concerns.
func (s *Scheduler) readdress(ctx context.Context, i *Instance, ips []string) {
	dial := s.fleet.connect
	if dial == nil {
		dial = connect
	}
	old := i.Addr()
	moved := i.address.use(i.address.best(ctx, ips, i.inOrder(), dial))
	if i.Addr() == old {
		return
	}
	if moved {
		i.log.Info("instance has another address", "was", old, "is", i.Addr())
		if f := s.fleet.onMoved.Load(); f != nil {
			(*f)(i)
		}
	}
	i.wake()
}

// inOrder says whether the address in use has proven itself.
func (i *Instance) inOrder() bool {
	s := State(i.health.state.Load())
	return s == Healthy || s == Suspect
}
