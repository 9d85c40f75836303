package dataplane

import (
	"sync"

	"penstock/dataplane/body"
	"penstock/dataplane/http1"
)

// scratch is memory that a request needs until its answer has begun. A stream
// may stay for minutes: it lends its own to others.
type scratch struct {
	out             []byte
	asked, answered []http1.Header
	scan            body.Scanner
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// equip takes scratch memory for the next request, if the last gave it away.
func (c *call) equip() {
	if c.scratch != nil {
		return
	}
	c.scratch = scratches.Get().(*scratch)
	c.out = c.scratch.out
	c.req.head.Lend(c.scratch.asked)
	c.att.ans.head.Lend(c.scratch.answered)
}

// shed gives it away, after what the request holds was released.
func (c *call) shed() {
	s := c.scratch
	if s == nil {
		return
	}
	s.out, s.asked, s.answered = c.out[:0], c.req.head.Shed(), c.att.ans.head.Shed()
	scratches.Put(s)
	c.scratch, c.out, c.att.head, c.req.path = nil, nil, nil, nil
}
