package load

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

// socket is a worker's WebSocket: its requests go over it one after the other.
// Another key has another.
type socket struct {
	ws  *websocket.Conn
	key string
}

// close ends it: the next request opens another.
func (s *socket) close() {
	if s.ws != nil {
		s.ws.Close()
		s.ws = nil
	}
}

// talk sends the request as a message and reads its answer's.
func (w *worker) talk(key string) {
	s, limit := &w.socket, w.run.clock.real(w.run.cfg.Timeout)
	if s.ws != nil && s.key != key {
		s.close()
	}
	if s.ws == nil && !w.connect(key, limit) {
		return
	}
	s.ws.SetWriteDeadline(time.Now().Add(limit))
	s.ws.SetReadDeadline(time.Now().Add(limit))
	if err := s.ws.WriteMessage(websocket.TextMessage, w.sent); err != nil {
		w.sample.fail(classOf(err, false), err.Error())
		s.close()
		return
	}
	for !w.answer.done && !w.answer.failed {
		_, text, err := s.ws.ReadMessage()
		if err != nil {
			w.sample.fail(classOf(err, w.sample.pieces > 0), err.Error())
			s.close()
			return
		}
		w.hear(text)
	}
}

// hear reads one message of an answer.
func (w *worker) hear(text []byte) {
	now := w.run.clock.now()
	switch {
	case w.run.cfg.Stream || string(text) == string(doneData):
		if w.answer.event(text) {
			w.piece(now)
		}
	default:
		if w.answer.whole(text); w.answer.failed {
			break
		}
		w.sample.output(now)
		if !w.answer.choices {
			w.sample.fail(classProtocol, "no completion: "+excerpt(text))
		}
	}
	if w.answer.failed {
		w.fails(text)
	}
}

// fails takes an error message by the status in it.
func (w *worker) fails(text []byte) {
	switch status := number(valueOf(text, []byte(`"status"`))); {
	case status == fasthttp.StatusTooManyRequests:
		w.sample.reject(text)
	case w.sample.pieces > 0 || status == 0:
		w.sample.fail(classStreamError, excerpt(text))
	default:
		w.sample.fail(classOfStatus(status), excerpt(text))
	}
}

// connect opens the worker's WebSocket; what goes wrong is the request's.
func (w *worker) connect(key string, limit time.Duration) bool {
	t := w.run.client.target
	d := websocket.Dialer{
		HandshakeTimeout: limit, TLSClientConfig: tlsConfig(t), ReadBufferSize: readBytes, WriteBufferSize: readBytes,
		NetDial: func(_, addr string) (net.Conn, error) { return w.run.client.dialer.dial(addr) },
	}
	head := http.Header{}
	if key != "" {
		head.Set("Authorization", "Bearer "+key)
	}
	ws, resp, err := d.Dial("ws"+strings.TrimPrefix(t.url(w.run.template.path), "http"), head)
	switch {
	case err == nil:
		w.socket = socket{ws, key}
		return true
	case resp != nil:
		w.refusedSocket(resp)
	default:
		w.sample.fail(classOf(err, false), err.Error())
	}
	return false
}

// refusedSocket takes a handshake's answer that is none. Who is no router, and an
// engine above all, has no WebSocket for requests.
func (w *worker) refusedSocket(resp *http.Response) {
	said, _ := io.ReadAll(resp.Body) // of which the library has kept the beginning
	if resp.StatusCode == fasthttp.StatusTooManyRequests {
		w.sample.reject(said)
		return
	}
	why := fmt.Sprintf("the handshake of the WebSocket: status %d %s", resp.StatusCode, excerpt(said))
	switch resp.StatusCode {
	case 200, 400, 403, 404, 405, 426, 501:
		if resp.Header.Get("X-Penstock-Error") == "" {
			why = fmt.Sprintf("status %d, and not from a router: engines take no requests over WebSockets; leave --websocket out for them. %s", resp.StatusCode, excerpt(said))
		}
	}
	w.sample.fail(classOfStatus(resp.StatusCode), strings.TrimSpace(why))
}
