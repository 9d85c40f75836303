package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// leastTTL is how often DNS is asked at most, whatever the records say.
	leastTTL = time.Second
	// dnsTimeout bounds one question to one server.
	dnsTimeout = 2 * time.Second
	// emptyAnswers in a row are believed: one may be a server that starts.
	emptyAnswers = 3
	// maxRecords bounds the answer.
	maxRecords = 4096
	resolvConf = "/etc/resolv.conf"
)

// DNS is a name whose records are the instances.
type DNS struct {
	Name    string
	Type    string // "a", "aaaa" or "srv"
	Port    int    // of a and aaaa; srv has its own
	Refresh time.Duration
	Servers []string // host:port; nil: the system's
	Set     Set
	Log     *slog.Logger

	list     []Target
	empties  int
	standing standing
}

// Status is how the name stands. Any goroutine may ask.
func (d *DNS) Status() Status { return d.standing.show("dns", d.Name) }

// Run asks again and again until ctx ends: when the records' time is over, but
// at least every Refresh.
func (d *DNS) Run(ctx context.Context) error {
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-alarm.C:
		}
		alarm.Reset(d.refresh(ctx))
	}
}

// refresh asks once, and returns when to ask again.
func (d *DNS) refresh(ctx context.Context) time.Duration {
	list, ttl, err := d.ask(ctx)
	if ctx.Err() != nil {
		return d.Refresh
	}
	if err == nil && len(list) == 0 {
		if d.empties++; d.empties < emptyAnswers && len(d.list) > 0 {
			err = fmt.Errorf("%s has no %s records", d.Name, strings.ToUpper(d.Type))
		}
	} else if err == nil {
		d.empties = 0
	}
	if err == nil && !slices.EqualFunc(list, d.list, func(a, b Target) bool { return a.URL == b.URL }) {
		if err = d.Set(list); err == nil {
			d.list = list
		}
	}
	d.say(err)
	return min(max(ttl, leastTTL), d.Refresh)
}

// say logs a failure, again while it lasts, and its end.
func (d *DNS) say(err error) {
	if err == nil {
		if d.standing.well(len(d.list)) {
			d.Log.Info("DNS answers again", "name", d.Name, "instances", len(d.list))
		}
		return
	}
	if say, lasted := d.standing.failed(failure(err), time.Now()); say {
		d.Log.Warn("discovery.dns: instances are kept as they were", "name", d.Name, "instances", len(d.list), "for", lasted, "err", err)
	}
}

// failure is what an error says without our own port, which is another each time.
func failure(err error) string {
	var at *net.OpError
	if errors.As(err, &at) && at.Addr != nil {
		return at.Op + " " + at.Addr.String() + ": " + at.Err.Error()
	}
	return err.Error()
}

// ask puts the question. No such name is an empty list; that no server can tell
// is an error.
func (d *DNS) ask(ctx context.Context) (list []Target, ttl time.Duration, err error) {
	servers, names, err := d.where()
	if err != nil {
		return nil, 0, err
	}
	for _, name := range names {
		answer, err := d.query(ctx, servers, name)
		if err != nil {
			return nil, 0, err
		}
		if list, ttl = d.read(answer); len(list) > 0 {
			return list, ttl, nil
		}
	}
	return nil, 0, nil
}

// where are the servers and the names to ask them for, with the system's search
// domains.
func (d *DNS) where() (servers, names []string, err error) {
	if d.Servers != nil {
		return d.Servers, []string{dns.Fqdn(d.Name)}, nil
	}
	c, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		return nil, nil, fmt.Errorf("the system's name servers: %w", err)
	}
	for _, s := range c.Servers {
		servers = append(servers, net.JoinHostPort(s, c.Port))
	}
	return servers, c.NameList(d.Name), nil
}

// query asks one server after the other, over TCP what does not fit in UDP.
func (d *DNS) query(ctx context.Context, servers []string, name string) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, dns.StringToType[strings.ToUpper(d.Type)])
	question.SetEdns0(dns.DefaultMsgSize, false)
	err := errors.New("no name server is configured")
	for _, server := range servers {
		var answer *dns.Msg
		for _, network := range []string{"udp", "tcp"} {
			client := dns.Client{Net: network, Timeout: dnsTimeout}
			if answer, _, err = client.ExchangeContext(ctx, question, server); err != nil || !answer.Truncated {
				break
			}
		}
		if err == nil && (answer.Rcode == dns.RcodeSuccess || answer.Rcode == dns.RcodeNameError) {
			return answer, nil
		}
		if err == nil {
			err = fmt.Errorf("%s answers %s", server, dns.RcodeToString[answer.Rcode])
		}
	}
	return nil, err
}

// read makes targets of an answer, sorted, and says for how long it holds. Of SRV
// records those of the lowest priority count, as RFC 2782 has it: the others are
// in reserve, for when these are gone from DNS.
func (d *DNS) read(answer *dns.Msg) (list []Target, ttl time.Duration) {
	ttl = d.Refresh
	add := func(rr dns.RR, host string, port int) {
		if len(list) == maxRecords || port <= 0 || port > 65535 {
			return
		}
		at := net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), strconv.Itoa(port))
		list = append(list, Target{URL: "http://" + at, Name: at})
		ttl = min(ttl, time.Duration(rr.Header().Ttl)*time.Second)
	}
	first := firstPriority(answer)
	for _, rr := range answer.Answer {
		switch r := rr.(type) {
		case *dns.SRV:
			if d.Type == "srv" && serves(r) && r.Priority == first {
				add(rr, r.Target, int(r.Port))
			}
		case *dns.A:
			if d.Type == "a" {
				add(rr, r.A.String(), d.Port)
			}
		case *dns.AAAA:
			if d.Type == "aaaa" {
				add(rr, r.AAAA.String(), d.Port)
			}
		}
	}
	slices.SortFunc(list, func(a, b Target) int { return strings.Compare(a.URL, b.URL) })
	return slices.CompactFunc(list, func(a, b Target) bool { return a.URL == b.URL }), ttl
}

// serves says whether there is a service: RFC 2782 writes "." where there is none.
func serves(r *dns.SRV) bool { return r.Target != "." && r.Port > 0 }

// firstPriority is the lowest of the answer's SRV records.
func firstPriority(answer *dns.Msg) uint16 {
	first := uint16(math.MaxUint16)
	for _, rr := range answer.Answer {
		if r, ok := rr.(*dns.SRV); ok && serves(r) {
			first = min(first, r.Priority)
		}
	}
	return first
}
