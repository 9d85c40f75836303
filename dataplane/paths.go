package dataplane

import (
	"fmt"
	"slices"
	"strings"
)

// checkPaths says which paths of routes.allow and websocket.paths cannot be
// what they are meant for.
func (c *Config) checkPaths() (all []error) {
	routed := newRoutes(&Config{Group: c.Group, Name: c.Name, Routes: c.Routes})
	for n, p := range c.Routes.Allow {
		if wrong := unplain(p); wrong != "" {
			all = append(all, fmt.Errorf("routes.allow[%d]: %s", n, wrong))
		}
	}
	for n, p := range c.WebSocket.Paths {
		wrong := unplain(p)
		switch {
		case wrong != "":
		case slices.Contains(c.WebSocket.Paths[:n], p):
			wrong = p + " stands twice"
		case slices.Contains(c.Routes.Allow, p):
			wrong = p + " stands in routes.allow too: it can be one of the two"
		default:
			wrong = routed.taken(p)
		}
		if wrong != "" {
			all = append(all, fmt.Errorf("websocket.paths[%d]: %s", n, wrong))
		}
	}
	return all
}

// unplain says what of a path no request can match; "": nothing.
func unplain(p string) string {
	stem := strings.TrimSuffix(p, "/*")
	switch {
	case !strings.HasPrefix(p, "/") || strings.ContainsAny(p, "? #%"):
		return fmt.Sprintf("%q is no plain path: need one such as /v1/echo, with a slash first, no query and no spaces", p)
	case strings.Contains(p, "..") || strings.Contains(p, "//") || strings.Contains(p, `\`):
		return fmt.Sprintf("%q is no plain path: need one such as /v1/echo, without .., // and backslashes", p)
	case strings.Contains(stem, "*"):
		return fmt.Sprintf("%q: a * stands at the end, after a slash, for whatever follows, as in /v1/live/*", p)
	}
	return ""
}

// taken says why a WebSocket of an engine's cannot be had at a path; "": it can.
func (r *routes) taken(p string) string {
	if strings.HasPrefix(p, string(r.prefix)) {
		return p + ": write it without " + string(r.prefix) + ", under which it is served too"
	}
	switch d := r.exact[p]; {
	case d == nil || d.tunnel: // /v1/realtime, which passes through anyway
	case d.bridge:
		return p + " is the router's own WebSocket, whose messages are requests: it cannot pass through"
	default:
		return p + " is a path of the router's own, and no WebSocket"
	}
	for _, d := range r.tails {
		if strings.HasSuffix(p, "/*") && strings.HasPrefix(p, d.label[:len(d.label)-1]) {
			return p + " lies under " + d.label + ", which is routed already"
		}
	}
	return ""
}
