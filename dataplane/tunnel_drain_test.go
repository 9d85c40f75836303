package dataplane

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"penstock/scheduler"
)

// quick makes tunnels quiet sooner.
func quick(g *Gateway, _ *scheduler.Scheduler) { g.quietFor = 4 * short }

// closeOf is the code with which one end hears that it is over.
func closeOf(ws *websocket.Conn) int {
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			if ce, ok := err.(*websocket.CloseError); ok {
				return ce.Code
			}
			return 0
		}
	}
}

// echoUntil echoes, and tells the code that ends it.
func echoUntil(told chan<- int) func(*websocket.Conn, *http.Request) {
	return func(ws *websocket.Conn, _ *http.Request) {
		for {
			kind, text, err := ws.ReadMessage()
			if ce, ok := err.(*websocket.CloseError); ok {
				told <- ce.Code
			}
			if err != nil || ws.WriteMessage(kind, text) != nil {
				return
			}
		}
	}
}

// A drain cut a tunnel as soon as no request was under way, whatever passed.
func TestDrainLetsATunnelGoOnWhileItIsBusy(t *testing.T) {
	told := make(chan int, 1)
	r := start(t, instances(socketEngine(t, echoUntil(told)).url), nil, quick)
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	w.hear("hello")
	r.stop()
	r.until("the drain to begin", r.g.Draining)
	for begun := time.Now(); time.Since(begun) < 4*r.g.quietFor; {
		w.say("more")
		w.hear("more")
	}
	last := time.Now()
	w.ends(1001)
	if quiet := time.Since(last); quiet < r.g.quietFor {
		t.Errorf("it was ended after %v, want %v", quiet, r.g.quietFor)
	}
	if code := <-told; code != 1001 {
		t.Errorf("the instance was told %d", code)
	}
	r.wait(r.ended, "the end of the gateway")
}

func TestDrainWaitsForAMessageThatIsHalfWay(t *testing.T) {
	r := start(t, instances(socketEngine(t, echo).url), nil, quick)
	half, quiet := r.talk(realtime, 0, nil), r.talk(realtime, 0, nil)
	half.UnderlyingConn().Write(frameOf(false, 1, true, []byte("he")))
	quiet.say("hello")
	quiet.hear("hello")
	r.stop()
	quiet.ends(1001)
	half.UnderlyingConn().Write(frameOf(true, 0, true, []byte("llo")))
	half.hear("hello")
	half.ends(1001)
	r.wait(r.ended, "the end of the gateway")
}

// What was cut was cut within a frame, and nobody was told why.
func TestEndOfADrainIsTheEndOfAFrame(t *testing.T) {
	told := make(chan int, 1)
	piece := make([]byte, 300_000)
	flood := func(ws *websocket.Conn) {
		for ws.WriteMessage(websocket.BinaryMessage, piece) == nil {
		}
	}
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		ws.SetCloseHandler(func(int, string) error { return nil }) // who writes is another
		go flood(ws)
		told <- closeOf(ws)
	}).url), func(c *Config, _ *scheduler.Config) { c.DrainTimeout = 4 * short })
	w := r.talk(realtime, 0, nil)
	w.SetCloseHandler(func(int, string) error { return nil })
	go flood(w.Conn)
	w.ReadMessage()
	r.stop()
	if code := closeOf(w.Conn); code != 1001 {
		t.Errorf("the client was told %d", code)
	}
	if code := <-told; code != 1001 {
		t.Errorf("the instance was told %d", code)
	}
	w.Close()
	r.wait(r.ended, "the end of the gateway")
	if n := r.metric(`penstock_websocket_closes_total{code="1001"}`); n != 1 {
		t.Errorf("%v closes of 1001", n)
	}
}

// A frame whose rest never comes leaves no place for a close: it is not counted as
// one either.
func TestFrameThatDoesNotEndIsCutWithoutAClose(t *testing.T) {
	done := make(chan struct{})
	defer close(done)
	r := start(t, instances(socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		ws.ReadMessage()
		ws.UnderlyingConn().Write(frameOf(true, 1, false, []byte("hello"))[:4])
		<-done
	}).url), func(c *Config, _ *scheduler.Config) { c.DrainTimeout = short })
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	w.UnderlyingConn().Read(make([]byte, 4))
	r.stop()
	r.wait(r.ended, "the end of the gateway")
	if n := r.metric(`penstock_websocket_closes_total{code="1006"}`); n != 1 {
		t.Errorf("%v closes of 1006", n)
	}
}

func TestTunnelsOfAnInstanceThatDrainsLiveOn(t *testing.T) {
	a, b := socketEngine(t, echo), socketEngine(t, func(ws *websocket.Conn, _ *http.Request) {
		ws.WriteMessage(websocket.TextMessage, []byte("b"))
		ws.ReadMessage()
	})
	r := start(t, instances(a.url, b.url), nil, quick)
	r.well()
	r.sched.Drain("b", true)
	w := r.talk(realtime, 0, nil)
	w.say("hello")
	w.hear("hello")
	r.sched.Drain("a", true)
	r.sched.Drain("b", false)
	r.talk(realtime, 0, nil).hear("b")
	for begun := time.Now(); time.Since(begun) < 2*r.g.quietFor; {
		w.say("more")
		w.hear("more")
	}
	if n := r.sched.Named("a").Status().InFlight; n != 1 {
		t.Errorf("%d in flight at the one that drains", n)
	}
	w.Close()
	r.until("it to have nothing", func() bool { return r.sched.Named("a").Status().InFlight == 0 })
}

// A client that does not take all has half a frame: the close behind it was none, and
// was counted as one.
func TestNothingFollowsWhatAClientDidNotTake(t *testing.T) {
	near, far := net.Pipe()
	far.Close()
	g := &Gateway{cfg: DefaultConfig(), start: time.Now()}
	u := &tunnel{client: &client{call: call{g: g}, conn: near}}
	if u.deliver(frameOf(true, 1, false, []byte("hello"))) == nil {
		t.Fatal("it was taken")
	}
	if u.goodbye(1001, ""); u.ended != 0 {
		t.Error("a close went out")
	}
}
