package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Scrape reads the engine's metrics into r, which is left alone on an error.
//
// It takes the lean page where the engine has one, else the full one. A page
// without any known metric is ErrNoSignals.
func (c *Client) Scrape(ctx context.Context, r *Reading) error {
	at := c.now()
	leanly, err := c.page(ctx, at)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			c.lean.forget() // what comes back on this port may be another version
		}
		return err
	}
	c.tally.fill(r)
	r.At, r.Took = at, c.now().Sub(at)
	r.Kind, r.Lean = c.profile.kind, leanly
	return nil
}

// page fills the tally from one page, and says from which.
func (c *Client) page(ctx context.Context, now time.Time) (leanly bool, err error) {
	deadline := c.deadline(ctx)
	if c.lean.usable(now) {
		err := c.readLean(ctx, deadline)
		if has := c.tally.has(); err == nil && has.Has(c.lean.proven) {
			c.lean.proven = has
			return true, nil
		}
		if err != nil && !answered(err) {
			return false, err
		}
		// The filter has gone or its page says less than it did: a name that
		// changed must not look like a zero.
		c.lean.forget()
	}
	size, err := c.readFull(ctx, deadline)
	if err != nil {
		return false, err
	}
	if c.lean.due(now) {
		c.tryLean(ctx, deadline, now, size)
	}
	return false, nil
}

// readFull tallies the full page and returns its size.
func (c *Client) readFull(ctx context.Context, deadline time.Time) (int, error) {
	if err := c.getFull(ctx, deadline); err != nil {
		return 0, err
	}
	page := c.wire.body()
	if !c.match(page) {
		return 0, fmt.Errorf("get %s%s: %w of %d bytes: looked for %s", c.origin, c.metrics.path, ErrNoSignals, len(page), c.wanted())
	}
	return len(page), nil
}

// getFull fetches the full page by at most one redirect on the same host, and
// remembers where it led: old vLLM answers /metrics with 307 to /metrics/.
func (c *Client) getFull(ctx context.Context, deadline time.Time) error {
	err := c.get(ctx, deadline, c.metrics)
	if err == nil {
		return nil
	}
	var status *StatusError
	if !errors.As(err, &status) {
		return err
	}
	path, ok := c.redirected(status)
	if !ok {
		c.metrics = c.metricsTarget() // a remembered path may have had its time
		return err
	}
	next := c.target(path)
	if err := c.get(ctx, deadline, next); err != nil {
		return err
	}
	c.metrics = next
	c.lean.forget()
	return nil
}

// redirected returns where on this host a redirect leads. Its scheme does not
// matter, the connection stays the same one: behind a TLS terminator an
// engine's redirects say http.
func (c *Client) redirected(status *StatusError) (path string, ok bool) {
	switch status.Code {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return "", false
	}
	from, err := url.Parse(c.origin + c.metrics.path)
	if err != nil || status.Location == "" {
		return "", false
	}
	to, err := from.Parse(status.Location)
	if err != nil || !strings.EqualFold(to.Hostname(), from.Hostname()) || (to.Port() != "" && to.Port() != from.Port()) {
		return "", false
	}
	return to.RequestURI(), true
}

// match tallies a full page by the known kind or, for Auto, where that says
// nothing, by the kind that says most. It reports whether there is anything.
func (c *Client) match(page []byte) bool {
	if c.profile != nil {
		c.tally = tally{}
		c.profile.read(page, &c.tally)
		if c.tally.has() != 0 {
			return true
		}
	}
	if !c.auto {
		return false
	}
	c.profile, c.tally = nil, tally{}
	for _, p := range profiles {
		var t tally
		p.read(page, &t)
		if t.has() != 0 && t.samples > c.tally.samples {
			c.profile, c.tally = p, t
		}
	}
	c.lean.forget()
	return c.profile != nil
}

// wanted names what a page without any of it was searched for.
func (c *Client) wanted() string {
	if !c.auto {
		return strings.Join(c.profile.names, ", ")
	}
	var names []string
	for _, p := range profiles {
		names = append(names, p.names...)
	}
	return strings.Join(names, ", ")
}
