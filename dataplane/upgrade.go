package dataplane

import (
	"bufio"
	"bytes"
	"iter"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/fasthttp/websocket"

	"penstock/dataplane/http1"
)

// What a WebSocket's client may choose of: browsers can set no header, so that
// their key comes as a subprotocol too, which is never echoed.
const (
	bridgeProtocol = "penstock.v1"
	keyProtocol    = "bearer."
)

// upgrades says whether the request asks for a WebSocket, rightly or not. An Upgrade
// that Connection does not name is no word of the client's (RFC 9110, 7.8), but who
// sends a key means it.
func (q *request) upgrades() bool {
	return q.head.Get(http1.Upgrade) != nil && lists(q.head.Headers, http1.Upgrade, "websocket") &&
		(lists(q.head.Headers, http1.Connection, "upgrade") || q.head.Get(http1.SecWebSocketKey) != nil)
}

// listed goes over what the headers of a kind list: a list may be cut over
// several lines (RFC 9110, 5.3).
func listed(headers []http1.Header, kind http1.Kind) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range headers {
			if headers[i].Kind != kind {
				continue
			}
			for p := range bytes.SplitSeq(headers[i].Value, []byte(",")) {
				if !yield(bytes.TrimSpace(p)) {
					return
				}
			}
		}
	}
}

// lists says whether the headers of a kind have a token.
func lists(headers []http1.Header, kind http1.Kind, token string) bool {
	for p := range listed(headers, kind) {
		if strings.EqualFold(string(p), token) {
			return true
		}
	}
	return false
}

// upgrade makes the connection a WebSocket, if its request may have one.
func (c *client) upgrade() (again bool) {
	q := &c.req
	if q.route, _ = c.g.routes.find(q.head.Path); q.route.tunnel {
		return c.passThrough()
	}
	if r := c.admitSocket(); r != nil {
		return c.refuse(r)
	}
	b := newBridge(c)
	b.pack = q.offersDeflate()
	ws, err := upgrader.Upgrade(hijacked{conn: &bridgeConn{Conn: c.conn, b: b}}, httpRequest(&q.head, b.pack), http.Header{"X-Request-Id": {string(q.id)}})
	if err != nil { // what can be wrong was looked for: the client has left
		c.g.sockets.leave(&c.g.sockets.bridges, q.keyIndex)
		q.gone()
		return false
	}
	q.status = 101
	c.deadline.Store(0)
	b.ws, c.bridge = ws, b
	return false
}

// admitSocket says why the request may have no WebSocket. Who may is counted.
func (c *client) admitSocket() *refusal {
	q := &c.req
	if r := c.authenticate(); r != nil {
		return r
	}
	switch {
	case !q.route.bridge && !q.route.tunnel:
		return &refusal{status: 404, code: "route_not_found", reason: reasonNotFound, msg: "no WebSocket is served at this path: " + clip(q.head.Path) + " (served are /v1/chat/completions, /v1/completions, /v1/responses, /v1/realtime and websocket.paths)"}
	case !q.head.Is("GET"):
		return &refusal{status: 405, code: "method_not_allowed", reason: reasonBadRequest, allow: "GET, " + q.route.allowed(), msg: "a WebSocket begins with GET, not " + clip(q.head.Method)}
	case q.head.Minor == 0:
		return badRequest("", "a WebSocket begins with HTTP/1.1, not HTTP/1.0: a proxy before the router may have changed it")
	case !lists(q.head.Headers, http1.Connection, "upgrade"):
		return badRequest("", "a WebSocket's handshake has Connection: Upgrade: a proxy before the router may have dropped it")
	case string(q.head.Get(http1.SecWebSocketVersion)) != "13":
		return &refusal{status: 426, code: "upgrade_required", reason: reasonBadRequest, head: []byte("Sec-WebSocket-Version: 13\r\n"), msg: "WebSockets of version 13 are served, none of " + clip(q.head.Get(http1.SecWebSocketVersion))}
	case !isChallenge(q.head.Get(http1.SecWebSocketKey)) || q.count(http1.SecWebSocketKey) > 1:
		return badRequest("", "Sec-WebSocket-Key has to be 16 bytes in base64, once")
	case c.r < c.w || q.unread != 0:
		q.broken = true
		return badRequest("", "bytes came before the WebSocket was accepted")
	case !c.g.cfg.WebSocket.admits(q.head.Get(http1.Origin)):
		return &refusal{status: 403, code: "origin_not_allowed", reason: reasonForbidden, msg: "pages of " + clip(q.head.Get(http1.Origin)) + " may not connect (websocket.origins)"}
	case c.g.Draining():
		return refuseDraining
	case !c.g.sockets.enter(c.g.sockets.of(q.route), q.keyIndex, c.g.cfg.WebSocket.PerKey):
		return &refusal{status: 429, code: "rate_limited", reason: reasonRateLimited, retry: 1, msg: "this key has as many WebSockets open as it may (websocket.connections_per_key)"}
	}
	return nil
}

// admits says whether a page of that origin may connect; who names none is no
// browser.
func (w *WebSocket) admits(origin []byte) bool {
	return len(w.Origins) == 0 || len(origin) == 0 || slices.ContainsFunc(w.Origins, func(o string) bool { return strings.EqualFold(o, string(origin)) })
}

// count is how many headers of a kind there are.
func (q *request) count(kind http1.Kind) (n int) {
	for i := range q.head.Headers {
		if q.head.Headers[i].Kind == kind {
			n++
		}
	}
	return n
}

// isChallenge says whether a key is 16 bytes in base64.
func isChallenge(key []byte) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return len(key) == 24 && string(key[22:]) == "==" && len(bytes.Trim(key[:22], alphabet)) == 0
}

// protocolKey is the key that is given as a subprotocol; nil: none is.
func (q *request) protocolKey() []byte {
	for p := range listed(q.head.Headers, http1.SecWebSocketProtocol) {
		if key, ok := cutKey(p); ok {
			return key
		}
	}
	return nil
}

// cutKey is the key in a subprotocol, whose case is of no matter, as of Bearer.
func cutKey(protocol []byte) (key []byte, ok bool) {
	n := len(keyProtocol)
	if len(protocol) < n || !strings.EqualFold(string(protocol[:n]), keyProtocol) {
		return nil, false
	}
	return protocol[n:], true
}

// upgrader answers handshakes: connections take a buffer to write for as long as
// they do.
var upgrader = websocket.Upgrader{
	ReadBufferSize: 512, WriteBufferSize: 4 << 10, WriteBufferPool: new(sync.Pool),
	EnableCompression: true, Subprotocols: []string{bridgeProtocol}, CheckOrigin: func(*http.Request) bool { return true },
}

// httpRequest is a handshake as the library reads it: it agrees on compression with
// whoever offers any.
func httpRequest(head *http1.Request, pack bool) *http.Request {
	r := &http.Request{Method: "GET", Header: make(http.Header), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	for i := range head.Headers {
		if h := &head.Headers[i]; h.Kind != http1.SecWebSocketExtensions {
			r.Header.Add(string(h.Name), string(h.Value))
		}
	}
	if pack {
		r.Header.Set("Sec-Websocket-Extensions", deflate)
	}
	return r
}

// hijacked gives the library the connection.
type hijacked struct {
	conn net.Conn
}

func (h hijacked) Header() http.Header         { return http.Header{} }
func (h hijacked) Write(p []byte) (int, error) { return len(p), nil }
func (h hijacked) WriteHeader(int)             {}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	const least = 16 // what the library does not use
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, least), bufio.NewWriterSize(h.conn, 512)), nil
}
