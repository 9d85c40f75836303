package dataplane

import (
	"bytes"
	"strings"
)

// route is one path that the data port serves. Anything else is 404: an
// engine's control and metrics paths are never open by default.
type route struct {
	label  string // in penstock_requests_total, bounded
	index  int    // dense, for the account
	kind   routeKind
	method string // the one allowed, "" for any
	tail   bool   // label ends in /*: whatever follows
	mute   bool   // its answers have no tokens
	bridge bool   // its requests may come over a WebSocket
	tunnel bool   // it is a WebSocket, which passes through
}

type routeKind uint8

const (
	routeJSON   routeKind = iota // to an engine, the body is read
	routeForm                    // to an engine, multipart: the model at most
	routeOpaque                  // to an engine, unread unless it is JSON
	routeModels                  // answered from memory
	routeHealth
)

// unrouted stands for every path that is not.
var unrouted = &route{label: "other"}

var defaultRoutes = []route{
	{label: "/v1/completions", method: "POST", bridge: true},
	{label: "/v1/chat/completions", method: "POST", bridge: true},
	{label: "/v1/responses", method: "POST", bridge: true},
	{label: "/v1/responses/*", kind: routeOpaque, tail: true},
	{label: "/v1/messages", method: "POST"},
	{label: "/v1/messages/count_tokens", method: "POST", mute: true},
	{label: "/v1/embeddings", method: "POST", mute: true},
	{label: "/v1/rerank", method: "POST", mute: true},
	{label: "/v1/score", method: "POST", mute: true},
	{label: "/v1/audio/*", kind: routeForm, method: "POST", tail: true},
	{label: "/tokenize", method: "POST", mute: true},
	{label: "/detokenize", method: "POST", mute: true},
	{label: "/generate", method: "POST"},
	{label: "/generate_stream", method: "POST"},
	{label: "/v1/realtime", method: "GET", tunnel: true, mute: true},
	{label: "/v1/models", kind: routeModels, method: "GET"},
	{label: "/health", kind: routeHealth, method: "GET"},
	{label: "/ping", kind: routeHealth},
}

// routes finds a path's route.
type routes struct {
	prefix []byte // /api/predict/{group}.{name}_llm_gateway
	exact  map[string]*route
	tails  []*route
	all    []*route // by index; the last is unrouted
}

func newRoutes(cfg *Config) *routes {
	r := &routes{
		prefix: []byte("/api/predict/" + cfg.Group + "." + cfg.Name + "_llm_gateway"),
		exact:  make(map[string]*route),
	}
	for _, d := range defaultRoutes {
		r.add(&d)
	}
	for _, p := range cfg.Routes.Allow {
		if _, ok := r.exact[p]; !ok {
			r.add(&route{label: p, kind: routeOpaque, tail: strings.HasSuffix(p, "/*")})
		}
	}
	for _, p := range cfg.WebSocket.Paths {
		if _, ok := r.exact[p]; !ok {
			r.add(&route{label: p, method: "GET", tunnel: true, mute: true, tail: strings.HasSuffix(p, "/*")})
		}
	}
	other := *unrouted
	other.index = len(r.all)
	r.all = append(r.all, &other)
	return r
}

func (r *routes) add(d *route) {
	d.index = len(r.all)
	r.all = append(r.all, d)
	if d.tail {
		r.tails = append(r.tails, d)
		return
	}
	r.exact[d.label] = d
}

// find returns path's route, and path without the managed service's prefix.
func (r *routes) find(path []byte) (*route, []byte) {
	if rest, ok := bytes.CutPrefix(path, r.prefix); ok && len(rest) > 0 && rest[0] == '/' {
		path = rest
	}
	if d, ok := r.exact[string(path)]; ok {
		return d, path
	}
	for _, d := range r.tails {
		stem := d.label[:len(d.label)-1]
		// What follows may not climb out of the stem, whatever an engine makes of dots.
		if len(path) > len(stem) && string(path[:len(stem)]) == stem && !bytes.Contains(path, []byte("..")) &&
			!bytes.ContainsAny(path, "%\\") && !bytes.Contains(path, []byte("//")) {
			return d, path
		}
	}
	return r.all[len(r.all)-1], path
}

// permits says whether the route takes the method.
func (d *route) permits(method []byte) bool {
	if d.kind == routeHealth || d.kind == routeModels {
		return string(method) == "GET" || string(method) == "HEAD"
	}
	return d.method == "" && (string(method) == "GET" || string(method) == "POST" || string(method) == "DELETE") ||
		string(method) == d.method
}

func (d *route) allowed() string {
	switch {
	case d.kind == routeHealth || d.kind == routeModels:
		return "GET, HEAD"
	case d.method == "":
		return "GET, POST, DELETE"
	}
	return d.method
}
