package engine

import (
	"context"
	"net/url"
	"strings"
	"time"
)

const (
	// leanFor is how long the lean page is trusted without a look at the full
	// one, which is what shows a metric under a name new to the filter.
	leanFor = 30 * time.Second
	// leanRetry is how long an engine that does not filter is left alone.
	leanRetry = 10 * time.Minute
)

// lean is the metrics page filtered to the profile's names, by the Python
// Prometheus client's `/metrics/?name[]=…`. It costs vLLM 4 ms of its event
// loop where the full page costs 18. The path needs its slash: without it an
// exporter answers that knows no filter.
type lean struct {
	target target
	on     bool
	proven Signals   // what its page has said, at least
	next   time.Time // when to compare it with the full page again
}

func (l *lean) usable(now time.Time) bool { return l.on && now.Before(l.next) }

func (l *lean) due(now time.Time) bool { return !now.Before(l.next) }

// forget makes the next full page find out anew.
func (l *lean) forget() { *l = lean{} }

// readLean tallies the lean page.
func (c *Client) readLean(ctx context.Context, deadline time.Time) error {
	if err := c.get(ctx, deadline, c.lean.target); err != nil {
		return err
	}
	c.tally = tally{}
	return c.profile.read(c.wire.body(), &c.tally)
}

// tryLean compares the lean page with the full one, of size bytes, just
// tallied. It changes nothing but what later scrapes ask for, so its failure is
// none of this scrape's.
func (c *Client) tryLean(ctx context.Context, deadline, now time.Time, size int) {
	if c.profile.readsJSON(c.wire.body()) {
		c.lean.next = now.Add(leanRetry)
		return
	}
	full := c.tally
	defer func() { c.tally = full }()
	if !c.lean.on {
		c.lean.target = c.leanTarget()
	}
	err := c.readLean(ctx, deadline)
	has := c.tally.has()
	c.lean.proven = has
	c.lean.on = err == nil && has.Has(full.has()) && c.tally.samples >= full.samples && len(c.wire.body()) < size
	// A failure on the wire says nothing of the filter.
	if c.lean.on || (err != nil && !answered(err)) {
		c.lean.next = now.Add(leanFor)
	} else {
		c.lean.next = now.Add(leanRetry)
	}
}

// leanTarget asks for all names of the profile, old ones and those not seen
// yet too: SGLang shows a counter only once it has counted.
func (c *Client) leanTarget() target {
	path, _, _ := strings.Cut(c.metrics.path, "?")
	path = strings.TrimRight(path, "/") + "/?name%5B%5D="
	names := make([]string, len(c.profile.text.names))
	for i, name := range c.profile.text.names {
		names[i] = url.QueryEscape(name)
	}
	return c.target(path + strings.Join(names, "&name%5B%5D="))
}
