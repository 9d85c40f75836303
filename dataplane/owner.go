package dataplane

import (
	"bytes"
	"hash/maphash"
	"sync"

	"penstock/scheduler"
)

// ownersMost bounds how many responses are remembered: between this many and
// twice as many of the latest.
const ownersMost = 32 << 10

// owners knows which instance made a stored response: engines keep them in
// their own memory, so that GET /v1/responses/{id} and previous_response_id
// must come back to the one that made it.
type owners struct {
	seed maphash.Seed

	mu       sync.Mutex
	new, old map[uint64]*scheduler.Instance // by the id's hash; old goes when new is full
}

func newOwners() *owners {
	return &owners{seed: maphash.MakeSeed(), new: make(map[uint64]*scheduler.Instance)}
}

func (o *owners) add(id []byte, i *scheduler.Instance) {
	h := maphash.Bytes(o.seed, id)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.new) >= ownersMost {
		o.old, o.new = o.new, make(map[uint64]*scheduler.Instance)
	}
	o.new[h] = i
}

// find returns nil for a response that is not remembered.
func (o *owners) find(id []byte) *scheduler.Instance {
	if len(id) == 0 {
		return nil
	}
	h := maphash.Bytes(o.seed, id)
	o.mu.Lock()
	defer o.mu.Unlock()
	if i, ok := o.new[h]; ok {
		return i
	}
	return o.old[h]
}

// owner is the instance that alone can serve the request, nil where any can.
func (c *call) owner() *scheduler.Instance {
	q := &c.req
	if rest, ok := bytes.CutPrefix(q.path, []byte("/v1/responses/")); ok {
		id, _, _ := bytes.Cut(rest, []byte("/"))
		return c.g.owners.find(id)
	}
	if string(q.path) == "/v1/responses" {
		return c.g.owners.find(stringAfter(q.body, `"previous_response_id"`))
	}
	return nil
}

// own remembers who made the response whose first piece this is.
func (c *call) own(a *answer) {
	if q := &c.req; string(q.path) == "/v1/responses" && a.head.Status < 300 {
		for _, p := range a.parts {
			if id := stringAfter(p[:min(len(p), minBuffer)], `"id"`); len(id) > 0 {
				c.g.owners.add(id, q.decision.Instance)
				return
			}
		}
	}
}

// stringAfter is the plain string that is the value of the first such key in b.
func stringAfter(b []byte, key string) []byte {
	_, rest, ok := bytes.Cut(b, []byte(key))
	if !ok {
		return nil
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":"))
	if !ok {
		return nil
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
	if !ok {
		return nil
	}
	value, _, ok := bytes.Cut(rest, []byte(`"`))
	if !ok {
		return nil
	}
	return value
}
