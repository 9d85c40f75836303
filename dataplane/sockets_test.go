package dataplane

import (
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
