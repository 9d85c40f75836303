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
	Kind   Kind // default Auto
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
	head    string // of every request, after its target
	timeout time.Duration
	now     func() time.Time
	wire    wire

	auto    bool
	profile *profile // nil: not found out yet
	tally   tally
	metrics target // the full page, where the last redirect said
	lean    lean
	health  target
	models  target
}

// target is one thing to get, its request kept ready.
type target struct {
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
	if !o.Kind.Known() {
		return nil, fmt.Errorf("unknown engine kind %q: want one of %v", o.Kind, Kinds())
	}
	if strings.ContainsFunc(o.APIKey, notInHeader) {
		return nil, errors.New("api key: has a space, a control character or one outside ASCII")
	}
	c := &Client{
		origin:  u.Scheme + "://" + withoutZone(u.Host),
		base:    strings.TrimRight(u.EscapedPath(), "/"),
		head:    requestHead(u, o.APIKey),
		timeout: o.Timeout,
		now:     o.Now,
		auto:    o.Kind == Auto,
		profile: profileOf(o.Kind),
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.wire.addr = address(u)
	if u.Scheme == "https" {
		c.wire.tls = tlsConfig(o.TLS, u.Hostname())
	}
	c.health = c.target(c.base + "/health")
	c.models = c.target(c.base + "/v1/models")
	c.metrics = c.metricsTarget()
	return c, nil
}

// Health returns nil if the engine answers its health check with 200.
func (c *Client) Health(ctx context.Context) error {
	return c.get(ctx, c.deadline(ctx), c.health)
}

// Close ends a call under way, from whichever goroutine, and all later ones
// with net.ErrClosed.
func (c *Client) Close() { c.wire.close() }

// get fetches t; the body of a 200 is then in the wire.
func (c *Client) get(ctx context.Context, deadline time.Time, t target) error {
	status, err := c.wire.get(ctx, t.request, deadline)
	if err == nil && status != http.StatusOK {
		err = &StatusError{Code: status, Location: c.wire.location()}
	}
	if err != nil {
		return fmt.Errorf("get %s%s: %w", c.origin, t.path, err)
	}
	return nil
}

// deadline of a call: the connection's clock is the real one, whatever Now is.
func (c *Client) deadline(ctx context.Context) time.Time {
	d := time.Now().Add(c.timeout)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(d) {
		return earlier
	}
	return d
}

func (c *Client) target(path string) target {
	return target{path: path, request: []byte("GET " + path + c.head)}
}

// metricsTarget is the full page's by the table; all kinds so far agree while
// the kind is not known.
func (c *Client) metricsTarget() target {
	p := c.profile
	if p == nil {
		p = profiles[0]
	}
	return c.target(c.base + p.path)
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

// requestHead is what follows the target in every request's head.
func requestHead(u *url.URL, key string) string {
	head := " HTTP/1.1\r\nHost: " + withoutZone(u.Host) + "\r\nUser-Agent: penstock\r\n"
	if key != "" {
		head += "Authorization: Bearer " + key + "\r\n"
	}
	return head + "\r\n"
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
