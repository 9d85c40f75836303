package dataplane

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
)

// ours counts the goroutines of a gateway and its scheduler.
func ours() (n int) {
	buf := make([]byte, 4<<20)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		for _, f := range []string{"(*client).serve(", "(*Gateway).", "(*watcher).run(", "(*holder).run(", "(*keeper).run("} {
			if strings.Contains(g, f) {
				n++
				break
			}
		}
	}
	return n
}

func TestDrainLetsStreamsFinish(t *testing.T) {
	next := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		sse(w)
		event(w, "one")
		<-next
		event(w, "two")
		<-next
		event(w, "[DONE]")
	})
	r := start(t, instances(e.url), nil)
	stream, idle, another := r.dial(), r.dial(), r.dial()
	idle.alive()
	another.alive()
	stream.post(askStream)
	body := stream.response().Body
	r.stop()
	r.until("the drain to begin", r.g.Draining)

	resp, text := r.do(ask)
	expect(t, resp, text, 503, "draining")
	if !resp.Close || resp.Header.Get("Retry-After") == "" {
		t.Errorf("close %v, Retry-After %q", resp.Close, resp.Header.Get("Retry-After"))
	}
	idle.post(ask)
	resp, text = idle.whole()
	expect(t, resp, text, 503, "draining")
	if !resp.Close {
		t.Error("a connection that was open is said to live on")
	}
	idle.closed()
	for _, path := range []string{"/health", "/ping"} {
		resp, text = r.call("GET", path)
		expect(t, resp, text, 503, "draining")
	}
	select {
	case <-r.ended:
		t.Fatal("it ended with a stream under way")
	case next <- struct{}{}:
	}
	next <- struct{}{}
	if b, err := io.ReadAll(body); err != nil || string(b) != "data: one\n\ndata: two\n\ndata: [DONE]\n\n" {
		t.Errorf("the stream: %q, %v", b, err)
	}
	r.wait(r.ended, "the end")
	another.closed()
	if n := ours(); n != 0 {
		t.Errorf("%d goroutines are left", n)
	}
}

func TestAnswerThatBeginsInTheDrainEndsTheConnection(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(ask)
	<-came
	r.stop()
	r.until("the drain to begin", r.g.Draining)
	release <- struct{}{}
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
	if !resp.Close {
		t.Error("the connection is said to live on")
	}
	p.closed()
	r.wait(r.ended, "the end")
}

func TestDrainTimeoutCutsWhatIsLeft(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		switch {
		case strings.Contains(string(b), "flood"):
			sse(w)
			for block := make([]byte, 64<<10); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		case strings.Contains(string(b), `"stream":true`):
			sse(w)
			event(w, "one")
		}
		<-r.Context().Done()
	})
	list := instances(e.url)
	list[0].MaxInFlight = 3
	r := start(t, list, func(c *Config, _ *scheduler.Config) { c.DrainTimeout = 100 * time.Millisecond })
	stream, silent, flood, held, uploading, idle := r.dial(), r.dial(), r.dial(), r.dial(), r.dial(), r.dial()
	idle.alive()
	stream.post(askStream)
	body := stream.response().Body
	silent.post(ask)
	flood.post(`{"model":"m","prompt":"flood","stream":true}`)
	flood.response() // and takes no more
	r.until("all to be with the engine", func() bool { return r.sched.Instances()[0].Status().InFlight == 3 })
	held.post(ask)
	r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	uploading.send("%s", sized(100_000)[:50_000])
	r.until("all to be in", func() bool { return r.metric("penstock_gateway_requests") == 5 })
	r.until("the flood to be stuck", func() bool {
		for _, l := range r.g.calls.late(1<<62, nil) {
			if l.c.doing.Load() == doingWrite {
				return true
			}
		}
		return false
	})

	asked := time.Now()
	r.stop()
	b, err := io.ReadAll(body)
	if err != nil || !strings.HasPrefix(string(b), "data: one\n\ndata: {\"error\":") || !strings.Contains(string(b), `"code":"draining"`) {
		t.Errorf("the stream: %q, %v", b, err)
	}
	for name, p := range map[string]*peer{"silent": silent, "held": held, "uploading": uploading} {
		resp, body := p.whole()
		if resp.StatusCode != 503 || resp.Header.Get("X-Penstock-Error") != "draining" || !resp.Close {
			t.Errorf("%s: %d %s, close %v", name, resp.StatusCode, body, resp.Close)
		}
	}
	idle.closed()
	r.wait(r.ended, "the end, with a client that takes nothing")
	t.Logf("ended %v after it was asked to", time.Since(asked))
	if n := ours(); n != 0 {
		t.Errorf("%d goroutines are left", n)
	}
}

// A connection may be accepted just before the listeners close, and enter the
// table after everybody in it was told.
func TestConnectionOfTheLastMomentEndsToo(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	r.g.calls.interrupt(stopDrain)
	p := r.dial()
	p.closed()
}
