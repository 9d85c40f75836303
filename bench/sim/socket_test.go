package sim

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// socket is a client's WebSocket.
type socket struct {
	*rig
	*websocket.Conn
}

func (r *rig) dial(path string, headers ...string) *socket {
	r.t.Helper()
	h := http.Header{"X-Request-Id": {"r1"}}
	for n := 0; n < len(headers); n += 2 {
		h.Set(headers[n], headers[n+1])
	}
	ws, resp, err := websocket.DefaultDialer.DialContext(r.t.Context(), strings.Replace(r.url(path), "http", "ws", 1), h)
	if err != nil {
		r.t.Fatalf("%s: %v, %v", path, err, resp)
	}
	ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	r.t.Cleanup(func() { ws.Close() })
	return &socket{r, ws}
}

func (s *socket) say(kind int, text string) {
	s.t.Helper()
	if err := s.WriteMessage(kind, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// ends wants a close with that code.
func (s *socket) ends(code int) {
	s.t.Helper()
	if kind, text, err := s.ReadMessage(); !websocket.IsCloseError(err, code) {
		s.t.Fatalf("got %d %q, %v; want a close of %d", kind, text, err, code)
	}
}

func TestEchoSaysWhatItHears(t *testing.T) {
	r := newRig(t, nil)
	s := r.dial("/v1/echo")
	for _, kind := range []int{websocket.TextMessage, websocket.BinaryMessage} {
		for _, text := range []string{"hello", "", "λόγος", strings.Repeat("x", 300_000)} {
			s.say(kind, text)
			got, back, err := s.ReadMessage()
			if err != nil || got != kind || string(back) != text {
				t.Fatalf("got %d, %d bytes, %v; want %d, %d bytes", got, len(back), err, kind, len(text))
			}
		}
	}
	if got := r.stats(); got.Requests != 1 || got.InFlight != 1 {
		t.Errorf("got %+v: an open socket is a request in flight", got)
	}
	s.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4001, "mine"), time.Now().Add(time.Second))
	s.ends(4001)
	s.Close()
	r.until("it to be over", func() bool { return r.stats().InFlight == 0 })
}

func TestEchoRefusesWhatIsNoFrameOrNoText(t *testing.T) {
	r := newRig(t, nil)
	f := func(frame string, code int) {
		t.Helper()
		s := r.dial("/v1/echo")
		if _, err := s.UnderlyingConn().Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
		s.ends(code)
	}
	f("\x91\x80\x00\x00\x00\x00", 1002)           // a reserved bit
	f("\x83\x80\x00\x00\x00\x00", 1002)           // a reserved opcode
	f("\x80\x80\x00\x00\x00\x00", 1002)           // goes on with nothing
	f("\x81\x01a", 1002)                          // not masked
	f("\x81\x81\x00\x00\x00\x00\xff", 1007)       // not UTF-8
	f("\x81\x81\x00\x00\x00\x00\xce", 1007)       // half a character at the end
	f("\x01\x82\x00\x00\x00\x00\xf4\x90", 1007)   // no end makes that one: it waits for none
	f("\x81\x85\x00\x00\x00\x00a\xed\xa0", 1007)  // nor for the rest of the frame
	f("\x88\x82\x00\x00\x00\x00\x03\xed", 1002)   // 1005 is said by nobody
	f("\x88\x82\x00\x00\x00\x00\x03\xe8", 1000)   // an end
	f("\x89\xfe\x00\x7e\x00\x00\x00\x00aa", 1002) // a ping larger than may be
}

// A few KiB may inflate to any size.
func TestWhatInflatesTooFarIsRefused(t *testing.T) {
	r := newRig(t, nil)
	dialer := websocket.Dialer{EnableCompression: true}
	for _, path := range []string{"/v1/echo", "/v1/realtime"} {
		ws, _, err := dialer.DialContext(t.Context(), strings.Replace(r.url(path), "http", "ws", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		ws.SetReadDeadline(time.Now().Add(20 * time.Second))
		if path == "/v1/realtime" {
			ws.ReadMessage() // session.created
		}
		to, err := ws.NextWriter(websocket.BinaryMessage)
		if err != nil {
			t.Fatal(err)
		}
		piece := make([]byte, 1<<20)
		for range maxBody>>20 + 1 {
			to.Write(piece) // what fails is that it was refused
		}
		to.Close()
		if kind, text, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseMessageTooBig) {
			t.Errorf("%s: got %d, %d bytes, %v; want a close of 1009", path, kind, len(text), err)
		}
	}
}

func TestSocketWantsAHandshakeAndTheKey(t *testing.T) {
	r := newRig(t, func(c *Config) { c.APIKey = "sk-engine" })
	f := func(path string, status int, headers ...string) {
		t.Helper()
		if response, body := r.do("GET", path, "", headers...); response.StatusCode != status {
			t.Errorf("%s: got %s %s, want %d", path, response.Status, body, status)
		}
	}
	f("/v1/echo", 401)
	f("/v1/realtime", 401)
	f("/v1/echo", 400, "Authorization", "Bearer sk-engine")
	r.dial("/v1/echo", "Authorization", "Bearer sk-engine").say(websocket.TextMessage, "hello")
}

// Its server knows nothing of a connection that was hijacked.
func TestSocketEndsWithItsInstance(t *testing.T) {
	f := func(end func(i *Instance)) {
		t.Helper()
		r := newRig(t, nil)
		s := r.dial("/v1/echo")
		end(r.Instances()[0])
		if _, _, err := s.ReadMessage(); err == nil || websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			t.Errorf("got %v, want an end without a word", err)
		}
	}
	f(func(i *Instance) { i.Close() })
	f(func(i *Instance) { i.Inject(Fault{Kind: faultExit}) })
	f(func(i *Instance) { i.Inject(Fault{Kind: faultReset}) })
}
