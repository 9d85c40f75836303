package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Scrape reads the engine's load into r, which is left alone on an error.
//
// It takes the load document and the lean page where the engine has them, else
// the full page. An engine without any known signal is ErrNoSignals.
func (c *Client) Scrape(ctx context.Context, r *Reading) error {
	at := c.now()
	deadline := c.deadline(ctx)
	leanly, err := c.load(ctx, deadline, at)
	if err != nil && (c.profile == nil || !answered(err) || passing(err)) {
		return err
	}
	c.inquire(ctx, deadline)
	said := c.loads.tally
	said.over(&c.tally)
	said.over(&c.about.tally)
	if err != nil && said.has() == 0 {
		return err
	}
	said.fill(r)
	r.At, r.Took = at, c.now().Sub(at)
	r.Kind, r.Version, r.Lean = c.profile.kind, c.about.version, leanly
	r.Mapped, r.Lacks = c.profile.mapped, c.tellLacks()
	return nil
}

// tellLacks says what the operator mapped and the last page does not have.
func (c *Client) tellLacks() string {
	if c.profile.mapped == 0 {
		return ""
	}
	if is := (lacks{c.profile, c.metrics.path, c.tally.found, c.lacks.text}); is != c.lacks {
		c.lacks = is
		c.lacks.text = ""
		if names := c.profile.lacks(c.tally.found); names != nil {
			be := " is"
			if len(names) > 1 {
				be = " are"
			}
			c.lacks.text = "mapped " + named(names) + be + " not on " + c.metrics.path
		}
	}
	return c.lacks.text
}

// load reads the load document and the page, as far as they are due. An error
// is the page's; what the load document says may stand beside it.
func (c *Client) load(ctx context.Context, deadline, now time.Time) (leanly bool, err error) {
	spoken, err := c.readLoads(ctx, deadline, now)
	if err != nil {
		return false, err
	}
	if spoken && c.loads.idle(now) {
		return true, nil
	}
	before := c.tally.tokens()
	leanly, err = c.page(ctx, deadline, now)
	if err != nil {
		c.tally = tally{}
		return spoken, err
	}
	if c.tally.tokens() < before {
		read := c.tally
		c.forget()
		c.tally = read
		return leanly, nil
	}
	c.loads.pageAt = now
	return leanly, nil
}

// page fills the tally from one page, and says whether from the lean one.
func (c *Client) page(ctx context.Context, deadline, now time.Time) (leanly bool, err error) {
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
	if c.auto && answered(err) && !passing(err) && !now.Before(c.guessAt) && c.guess(ctx, deadline, now) {
		size, err = c.readFull(ctx, deadline)
	}
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
		return 0, c.saysNothing(page)
	}
	return len(page), nil
}

// saysNothing is the error of a page without any known metric.
func (c *Client) saysNothing(page []byte) error {
	return fmt.Errorf("get %s%s: %w of %d bytes: %s", c.origin, c.metrics.path, ErrNoSignals, len(page), c.whyNothing(page))
}

func (c *Client) whyNothing(page []byte) string {
	switch p := c.profile; {
	case p == nil: // one name of each engine tells what is meant
		var wanted []string
		for _, p := range c.table {
			if first := p.wants()[0]; !slices.Contains(wanted, first) {
				wanted = append(wanted, first)
			}
		}
		return "looked for one of " + named(wanted)
	case c.unread != nil && !isJSON(page):
		return fmt.Sprintf("it should be JSON (format: json), and begins with %.40q", firstLine(page))
	case c.unread != nil:
		return strings.TrimPrefix(c.unread.Error(), ErrProtocol.Error()+": ")
	case p.format == prometheus && isJSON(page):
		return "it is JSON, and should not be (format: prometheus)"
	default:
		return "looked for " + named(p.wants())
	}
}

// firstLine is what a page begins with.
func firstLine(page []byte) []byte {
	line, _, _ := bytes.Cut(bytes.TrimSpace(page), []byte("\n"))
	return line
}

// getFull fetches the full page, and remembers where it was: by at most one
// redirect on the same host (old vLLM answers /metrics with 307 to /metrics/),
// or at another of the places that the table knows.
func (c *Client) getFull(ctx context.Context, deadline time.Time) error {
	err := c.get(ctx, deadline, c.metrics)
	if err == nil {
		return nil
	}
	var status *StatusError
	if !errors.As(err, &status) {
		return err
	}
	if path, ok := c.redirected(status); ok {
		return c.moved(ctx, deadline, path)
	}
	was := c.metrics.path
	c.metrics = c.metricsTarget() // a remembered path may have had its time
	if status.Code != http.StatusNotFound {
		return err
	}
	for _, path := range c.pages() {
		if c.base+path == was {
			continue
		}
		if next := c.moved(ctx, deadline, c.base+path); next == nil || !answered(next) {
			return next
		}
	}
	return err
}

// moved fetches the page at path, and remembers that path if it is there.
func (c *Client) moved(ctx context.Context, deadline time.Time, path string) error {
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

// pages are where the full page may be: the kind's places, or everyone's.
func (c *Client) pages() []string {
	if c.profile != nil {
		return c.profile.pages
	}
	return []string{defaultPage}
}

// metricsTarget is the full page's by the table.
func (c *Client) metricsTarget() target { return c.target(c.base + c.pages()[0]) }
