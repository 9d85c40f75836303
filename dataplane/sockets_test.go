package dataplane

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

func TestMetricsTellTheKindsOfWebSocketsApart(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.Paths = []string{"/mine"} })
	count := func(kind, name, labels string) float64 {
		return r.metric("penstock_websocket_" + name + `{kind="` + kind + `"` + labels + "}")
	}
	bridge, tunnel := r.talk(chat, 0, nil), r.talk("/mine", 0, nil)
	tunnel.say("a")
	tunnel.hear("a")
	if b, n := count("bridge", "connections", ""), count("tunnel", "connections", ""); b != 1 || n != 1 {
		t.Errorf("%v bridges and %v tunnels are open, want one of each", b, n)
	}
	tunnel.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience))
	tunnel.ends(1000)
	r.until("the tunnel's close to be counted", func() bool { return count("tunnel", "closes_total", `,code="1000"`) == 1 })
	r.until("it to be gone", func() bool { return count("tunnel", "connections", "") == 0 })
	if b, in := count("bridge", "connections", ""), count("bridge", "messages_total", `,direction="in"`); b != 1 || in != 0 {
		t.Errorf("%v bridges are open with %v messages, want one with none", b, in)
	}
	if in, out := count("tunnel", "messages_total", `,direction="in"`), count("tunnel", "messages_total", `,direction="out"`); in != 1 || out != 1 {
		t.Errorf("the tunnel had %v and %v messages, want one each way", in, out)
	}
	bridge.Close()
}

// A browser's script can set no header: what the 401 says has to work there too.
func TestHandshakeWithoutAKeyIsToldTheBrowsersWay(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) { c.Auth.Keys = []Key{keyOf("ann", "secret")} })
	f := func(path, want string, protocols ...string) {
		t.Helper()
		d := websocket.Dialer{Subprotocols: protocols, HandshakeTimeout: patience}
		_, resp, err := d.Dial("ws://"+r.addr+path, nil)
		if resp == nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 401 || !strings.Contains(string(body), want) {
			t.Errorf("%s: got %d %s, want %s", path, resp.StatusCode, body, want)
		}
	}
	const way = `no API key: send it as Authorization: Bearer KEY, or, in a browser, as a subprotocol: new WebSocket(url, [\"penstock.v1\", \"bearer.KEY\"])`
	f(chat, way)
	f(chat, way, "penstock.v1")
	f("/v1/realtime", way)
	f(chat, "this API key is not known here", "penstock.v1", "bearer.wrong")
	if resp, body := r.call("POST", chat, "Content-Length: 0"); resp.StatusCode != 401 || strings.Contains(body, "subprotocol") {
		t.Errorf("over HTTP: %s", body)
	}
}
