package engine

import (
	"context"
	"errors"
	"time"
)

const (
	// loadsRetry is how long an engine whose load document does not answer is
	// read by its page alone.
	loadsRetry = 30 * time.Second
	// idlePage is how long the page of an idle engine may be left alone.
	idlePage = 30 * time.Second
)

// loads is what the profile's load document says: SGLang's /v1/loads, whose
// numbers are of this moment, where the gauges of its page are of the last line
// that it logged.
//
// It has no counters. Those tell a hang from a long prefill, and are worth
// nothing if they are older than the silence that they are to explain: so
// while anything runs or waits, the page is read in the same scrape. Of an
// idle engine they do not change, and the document alone does.
type loads struct {
	target target
	tally  tally
	next   time.Time // not asked before
	pageAt time.Time // when the page was last read; zero: not since the engine came
}

// forget makes the next scrape find out anew.
func (l *loads) forget() { *l = loads{} }

// readLoads reports whether the load document has answered. The error is one
// that the page would meet too.
func (c *Client) readLoads(ctx context.Context, deadline, now time.Time) (bool, error) {
	l := &c.loads
	l.tally = tally{}
	if c.profile == nil || c.profile.loads == "" || now.Before(l.next) {
		return false, nil
	}
	if l.target.request == nil {
		l.target = c.target(c.base + c.profile.loads)
	}
	// The document is answered by the scheduler's own loop in some versions: one
	// that hangs must leave time for the page, which tells so.
	err := c.get(ctx, halfway(deadline), l.target)
	if err == nil {
		err = readJSON(c.wire.body(), c.profile.loadsFrom, &l.tally, nil)
	}
	if err == nil && l.tally.has().Has(HasRunning) {
		return true, nil
	}
	if err != nil && !answered(err) && !errors.Is(err, ErrTimeout) || ctx.Err() != nil {
		return false, err
	}
	l.tally = tally{}
	l.next = now.Add(loadsRetry)
	return false, nil
}

// idle says whether the load document leaves nothing to ask the page for.
func (l *loads) idle(now time.Time) bool {
	c := &l.tally.cells
	return c[running].value+c[waiting].value == 0 && !l.pageAt.IsZero() && now.Before(l.pageAt.Add(idlePage))
}

// halfway is when half of the time to the deadline has gone.
func halfway(deadline time.Time) time.Time {
	return deadline.Add(-time.Until(deadline) / 2)
}
