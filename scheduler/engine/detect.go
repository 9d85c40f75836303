package engine

import (
	"context"
	"errors"
	"time"
)

const (
	// guessAgain is how long an engine whose page says nothing known is left
	// alone before it is asked what it is once more.
	guessAgain = 30 * time.Second
	// aboutTries is how often an engine may leave the question for its version
	// unanswered.
	aboutTries = 3
)

// about is what the engine said of itself, apart from its load.
type about struct {
	version string
	tally   tally
	tries   int
	done    bool
}

// Kind is the engine's kind as far as it is known: Auto until it has been found
// out. It may be known of an engine that Scrape finds no metrics of.
func (c *Client) Kind() Kind {
	if c.profile == nil {
		return Auto
	}
	return c.profile.kind
}

// adopt makes p the profile: nil if it is not known.
func (c *Client) adopt(p *profile) {
	c.profile = p
	c.lean.forget()
	c.loads.forget()
	c.about = about{}
	health, models := defaultHealth, defaultModels
	if p != nil {
		health, models = p.health, p.models
	}
	c.health = c.target(c.base + health)
	c.models = c.target(c.base + models)
	c.metrics = c.metricsTarget()
}

// forget drops what was found out: the engine was restarted, and what comes
// back on this port may be another version, or another engine. Until then the
// last kind is the best guess of where to ask.
func (c *Client) forget() {
	c.lean.forget()
	c.loads.forget()
	c.about = about{}
	c.tally = tally{}
	c.guessAt = time.Time{}
	c.sure = !c.auto
}

// match tallies a full page by the known kind or, for Auto, where that says
// nothing, by the kind that says most. It reports whether there is anything.
func (c *Client) match(page []byte) bool {
	c.unread = nil
	if c.profile != nil && c.sure {
		c.tally = tally{}
		c.unread = c.profile.read(page, &c.tally)
		if c.unread == nil && c.tally.has() != 0 {
			return true
		}
	}
	if !c.auto {
		return false
	}
	var best *profile
	c.tally = tally{}
	for _, p := range c.table {
		var t tally
		if p.read(page, &t) == nil && t.has() != 0 && t.samples > c.tally.samples {
			best, c.tally = p, t
		}
	}
	if best != nil && best != c.profile {
		where := c.metrics // the page that was read, which may not be its usual one
		c.adopt(best)
		c.metrics = where
	}
	c.sure = best != nil
	return c.sure
}

// guess finds out what the engine is where its page does not say: by whom it
// says that its models are owned, or else by where it tells its version. It
// reports whether that is news.
func (c *Client) guess(ctx context.Context, deadline, now time.Time) bool {
	c.guessAt = now.Add(guessAgain)
	p, err := c.ownerProfile(ctx, deadline)
	for _, candidate := range c.table {
		if p != nil || err != nil && !answered(err) {
			break
		}
		for _, path := range candidate.about {
			var a about
			if err = c.ask(ctx, deadline, candidate, path, &a); err == nil && a.version != "" {
				p = candidate
				break
			}
		}
	}
	if p == nil || p == c.profile {
		return false
	}
	c.adopt(p)
	return true
}

// ownerProfile is the engine that owns the models, nil if none says so.
func (c *Client) ownerProfile(ctx context.Context, deadline time.Time) (*profile, error) {
	models, err := c.listModels(ctx, deadline)
	if err != nil {
		return nil, err
	}
	for _, p := range c.table {
		if len(models) > 0 && p.owner != "" && p.owner == models[0].Owner {
			return p, nil
		}
	}
	return nil, nil
}

// inquire asks the engine of itself, once. It changes nothing but what later
// readings say besides the load, so its failure is none of this scrape's.
func (c *Client) inquire(ctx context.Context, deadline time.Time) {
	a := &c.about
	if a.done || a.tries >= aboutTries {
		return
	}
	a.tries++
	for _, path := range c.profile.about {
		err := c.ask(ctx, deadline, c.profile, path, a)
		if err != nil && !answered(err) {
			return
		}
		if err == nil {
			break
		}
	}
	c.about.done = true
}

// ask reads one answer into a.
func (c *Client) ask(ctx context.Context, deadline time.Time, p *profile, path string, a *about) error {
	if err := c.get(ctx, deadline, c.target(c.base+path)); err != nil {
		return err
	}
	var t tally
	if err := readJSON(c.wire.body(), p.aboutFrom, &t, &a.version); err != nil {
		return err
	}
	a.tally = t
	return nil
}

// passing says whether err is of an engine that is only not there yet: there
// is nothing to find out.
func passing(err error) bool { return errors.Is(err, ErrLoading) || errors.Is(err, ErrScaling) }
