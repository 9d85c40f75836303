package sim

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/dataplane/partial"
)

// socketHandler serves a WebSocket. It says goodbye itself, if there is anyone
// to hear it; the connection is closed for it.
type socketHandler func(ws *websocket.Conn, r *http.Request)

// upgrader agrees on permessage-deflate, as uvicorn does.
var upgrader = websocket.Upgrader{EnableCompression: true, CheckOrigin: func(*http.Request) bool { return true }}

// socket answers the handshake.
func (i *Instance) socket(serve socketHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn := connOf(r)
		defer i.conns.left(conn)
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil { // it has been answered
			return
		}
		ws.SetReadLimit(maxBody)
		serve(ws, r)
		hangUp(conn)
	}
}

// hangUp ends what the instance says, and reads over what its client still does:
// to close a socket with unread bytes sends RST, which overtakes a goodbye.
func hangUp(conn net.Conn) {
	const (
		patience = time.Second
		most     = 1 << 20
	)
	tcp, ok := conn.(*net.TCPConn)
	if !ok || tcp.CloseWrite() != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.CopyN(io.Discard, conn, most)
}

var (
	errNotUTF8  = errors.New("a text message is not UTF-8")
	errTooLarge = errors.New("a message is larger than 64 MiB") // maxBody: the library bounds frames alone
)

// hear reads a message to its end, and no further than where a text is none any
// more, or where what a few bytes inflate to is too large.
func hear(kind int, r io.Reader, dst []byte) ([]byte, error) {
	const least = 4 << 10
	for checked := 0; ; {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, least)
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		if dst = dst[:len(dst)+n]; len(dst) > maxBody {
			return dst, errTooLarge
		}
		if kind == websocket.TextMessage {
			whole, ok := partial.UTF8(dst[checked:])
			if checked += whole; !ok || (err == io.EOF && checked < len(dst)) {
				return dst, errNotUTF8
			}
		}
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// bye says goodbye for an error of hear; of other errors the client has been
// told, or it has left.
func bye(ws *websocket.Conn, err error) {
	code := websocket.CloseInvalidFramePayloadData
	switch err {
	case errNotUTF8:
	case errTooLarge:
		code = websocket.CloseMessageTooBig
	default:
		return
	}
	_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, err.Error()), time.Now().Add(time.Second))
}

// echo says what it hears: a WebSocket that is no engine's, to see what a router
// does to its frames.
func echo(ws *websocket.Conn, _ *http.Request) {
	var b []byte
	for {
		kind, r, err := ws.NextReader()
		if err == nil {
			b, err = hear(kind, r, b[:0])
		}
		if err != nil {
			bye(ws, err)
			return
		}
		if ws.WriteMessage(kind, b) != nil {
			return
		}
	}
}
