package engine

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultTimeout bounds one call where Options say nothing.
const DefaultTimeout = time.Second

// Options of one engine's client.
type Options struct {
	// URL is where the engine is: http or https, a host (IPv6 in brackets), a
	// port, and a base path if the engine is mounted on one.
	URL string
	// APIKey, if any, goes along as `Authorization: Bearer KEY`.
	APIKey string
	Kind   Kind     // default Auto
	Custom []Custom // kinds of the operator's own, before those of the table
	// Addr, if any, is asked at each connect for the host:port to dial, in
	// place of the URL's. Requests name the URL's host all the same.
	Addr func() string
	// Timeout bounds one whole call, with every request that it takes.
	Timeout time.Duration
	TLS     *tls.Config      // for https; nil: the system's roots
	Now     func() time.Time // default time.Now
}

// Client reads one engine over one connection. It may be used by one goroutine
// at a time, but for Close.
type Client struct {
	origin  string // scheme://host, of error messages and redirects
	base    string // path, without a slash at its end
	fields  string // of every request's head, with the line that ends it
	timeout time.Duration
	now     func() time.Time
	wire    wire

	table   []*profile
	auto    bool
	profile *profile  // nil: not found out yet
	sure    bool      // the profile is this process's, not one's before its restart
	guessAt time.Time // what it is is not asked before
	unread  error     // why the last page could not be read

	tally   tally  // of the last page
	lacks   lacks  // of it
	metrics target // the full page, where it was last found
	lean    lean
	loads   loads
	about   about
	health  target
	models  target
}

// lacks keeps what is said of a page that does not have all that is mapped, as
// long as that does not change.
type lacks struct {
	profile *profile
	path    string
	found   uint64
	text    string
}

// target is one thing to ask for, its request kept ready.
type target struct {
	method  string // "": GET
	path    string
	request []byte
}

// NewClient checks the options; it does not connect.
func NewClient(o Options) (*Client, error) {
	u, err := engineURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Kind == "" {
		o.Kind = Auto
	}
	table, err := tableWith(o.Custom)
	if err != nil {
		return nil, err
	}
	profile := find(table, o.Kind)
	if profile == nil && o.Kind != Auto {
		return nil, fmt.Errorf("unknown engine kind %q: want one of %v", o.Kind, kindsOf(table))
	}
	if strings.ContainsFunc(o.APIKey, notInHeader) {
		return nil, errors.New("api key: has a space, a control character or one outside ASCII")
	}
	c := &Client{
		origin:  u.Scheme + "://" + withoutZone(u.Host),
		base:    strings.TrimRight(u.EscapedPath(), "/"),
		fields:  headFields(u, o.APIKey),
		timeout: o.Timeout,
		now:     o.Now,
		table:   table,
		auto:    o.Kind == Auto,
		sure:    o.Kind != Auto,
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.wire.addr = o.Addr
	if addr := address(u); o.Addr == nil {
		c.wire.addr = func() string { return addr }
	}
	if u.Scheme == "https" {
		c.wire.tls = tlsConfig(o.TLS, u.Hostname())
	}
	c.adopt(profile)
	return c, nil
}

// HangUp closes the connection: the next call dials anew. It is for the
// caller's own goroutine.
func (c *Client) HangUp() { c.wire.hangUp() }

// Close ends a call under way, from whichever goroutine, and all later ones
// with net.ErrClosed.
func (c *Client) Close() { c.wire.close() }

// get sends t's request; the body of a 200 is then in the wire, and anything
// else an error.
func (c *Client) get(ctx context.Context, deadline time.Time, t target) error {
	status, err := c.wire.get(ctx, t.request, deadline)
	if err == nil {
		err = c.check(status)
	}
	if refused(err) {
		c.forget() // nobody is there, and who comes back may be another version
	}
	if err != nil {
		return fmt.Errorf("%s %s%s: %w", strings.ToLower(cmp.Or(t.method, http.MethodGet)), c.origin, t.path, err)
	}
	return nil
}

// deadline of a call: the connection's clock is the real one, whatever Now is.
func (c *Client) deadline(ctx context.Context) time.Time { return deadlineWithin(ctx, c.timeout) }

func deadlineWithin(ctx context.Context, timeout time.Duration) time.Time {
	d := time.Now().Add(timeout)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(d) {
		return earlier
	}
	return d
}

func (c *Client) target(path string) target {
	return target{path: path, request: []byte("GET " + path + " HTTP/1.1\r\n" + c.fields)}
}

// engineURL parses and checks an engine's URL.
func engineURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("engine url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("engine url %q: scheme must be http or https", u.Redacted())
	case u.Hostname() == "":
		return nil, fmt.Errorf("engine url %q: no host", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("engine url %q: no user or password here: an api key has its own place", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("engine url %q: a base path may follow the host, no query or fragment", u)
	}
	return u, nil
}

// address to dial.
func address(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
}

// headFields are those of every request's head.
func headFields(u *url.URL, key string) string {
	fields := "Host: " + withoutZone(u.Host) + "\r\nUser-Agent: penstock\r\n"
	if key != "" {
		fields += "Authorization: Bearer " + key + "\r\n"
	}
	return fields + "\r\n"
}

// withoutZone drops the zone of an IPv6 literal, which means something on this
// machine only (RFC 6874, section 4).
func withoutZone(host string) string {
	if zone, end := strings.IndexByte(host, '%'), strings.IndexByte(host, ']'); zone >= 0 && end > zone {
		return host[:zone] + host[end:]
	}
	return host
}

func tlsConfig(given *tls.Config, host string) *tls.Config {
	c := &tls.Config{}
	if given != nil {
		c = given.Clone()
	}
	if c.ServerName == "" {
		c.ServerName = host
	}
	return c
}

// notInHeader reports whether r has no place in a header's value of one word.
func notInHeader(r rune) bool { return r <= ' ' || r >= 0x7f }
