package dataplane

import (
	"encoding/json"
	"strconv"

	"penstock/scheduler"
)

// What the data port answers by itself.

// answerHealth says whether a request would find an instance.
func (c *client) answerHealth() (again bool) {
	switch {
	case c.g.Draining():
		return c.refuse(refuseDraining)
	case !c.g.Routable():
		return c.refuse(c.g.noInstance())
	}
	return c.answerJSON([]byte(`{"status":"ok"}`))
}

// noInstance says why there is none.
func (g *Gateway) noInstance() *refusal {
	if g.sched.AllDrain() {
		return refuseAllDrain
	}
	return refuseNoInstance
}

// Routable says whether at least one instance can be given a request.
func (g *Gateway) Routable() bool { return g.sched.Routable() }

// Foresee is how many seconds the first token of a usual request would take
// there now; 0: nothing was seen of it yet.
func (g *Gateway) Foresee(i *scheduler.Instance) float64 { return g.sched.Foresee(i, g.now()) }

// answerModels lists what the instances serve, as far as the key may see.
func (c *client) answerModels() (again bool) {
	type card struct {
		ID      string  `json:"id"`
		Object  string  `json:"object"`
		Created int64   `json:"created"`
		OwnedBy string  `json:"owned_by"`
		Parent  *string `json:"parent"`
		MaxLen  int     `json:"max_model_len,omitempty"`
	}
	list := struct {
		Object string `json:"object"`
		Data   []card `json:"data"`
	}{Object: "list", Data: []card{}}
	for _, m := range c.g.sched.Models() {
		if !c.req.key.permits([]byte(m.ID)) {
			continue
		}
		d := card{ID: m.ID, Object: "model", Created: c.g.created, OwnedBy: "penstock", MaxLen: m.MaxLen}
		if m.Parent != "" {
			d.Parent = &m.Parent
		}
		list.Data = append(list.Data, d)
	}
	b, err := json.Marshal(list)
	if err != nil {
		return c.refuse(refuseInternal)
	}
	return c.answerJSON(b)
}

// answerJSON answers 200 with b.
func (c *client) answerJSON(b []byte) (again bool) {
	q := &c.req
	q.status = 200
	c.settle()
	head := q.head.Is("HEAD") // skipBody may read over the head
	keep := q.head.KeepAlive && c.skipBody() && !c.g.Draining()
	c.out = appendStatus(c.out[:0], q.minor(), 200)
	c.out = append(c.out, "Content-Type: application/json\r\nContent-Length: "...)
	c.out = strconv.AppendInt(c.out, int64(len(b)), 10)
	c.out = append(c.out, "\r\nX-Request-Id: "...)
	c.out = append(c.out, q.id...)
	c.out = append(c.out, "\r\n"...)
	c.out = appendConnection(c.out, q.minor(), !keep)
	c.out = append(c.out, "\r\n"...)
	if !head {
		c.out = append(c.out, b...)
	}
	if !keep && q.unread != 0 {
		c.lingers = mostUnread
	}
	return c.write(c.out) == nil && keep
}
