package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fasthttp/websocket"

	"penstock/bench/sim"
)

// busy is a router before an engine that is busy with one stream; end ends that.
func busy(t *testing.T) (r *router, end func()) {
	t.Helper()
	c := sim.DefaultConfig()
	c.Listen, c.Model, c.TimeScale = "127.0.0.1:0", "m", 0.1 // its stream outlasts the test
	fleet, err := sim.Start(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleet.Close() })
	r = registering(t, "drain_timeout: 1s\ninstances: [{url: '"+fleet.URLs()[0]+"', name: gpu-1}]")
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", r.urls()[0]+"/v1/completions", strings.NewReader(`{"model":"m","prompt":"a","max_tokens":4000,"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	until(t, "the stream", func() bool { return r.sched.Named("gpu-1").Status().InFlight == 1 })
	return r, cancel
}

// draining runs c until stop.
func draining(c *drainCmd, url string) (out *lockedBuffer, stop func(), ended chan error) {
	out, ended = new(lockedBuffer), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- c.drain(ctx, &adminAPI{base: url}, out) }()
	return out, stop, ended
}

func TestDrainWaitsUntilNothingIsUnderWay(t *testing.T) {
	r, end := busy(t)
	out, stop, ended := draining(&drainCmd{Name: "gpu-1", Wait: true}, r.adminURL())
	defer stop()
	until(t, "its beginning", func() bool { return out.String() == "gpu-1 drains; under way: 1\n" })
	end()
	if err := receive(t, ended, "the end"); err != nil || !strings.HasSuffix(out.String(), "gpu-1: under way: 0\n") {
		t.Errorf("%v, said %s", err, out)
	}
	if got := r.sched.Named("gpu-1").State().String(); got != "draining" {
		t.Errorf("it is %s", got)
	}
	out, stop, ended = draining(&drainCmd{Name: "gpu-1", Undo: true}, r.adminURL())
	defer stop()
	if err := receive(t, ended, "the end"); err != nil || r.sched.Named("gpu-1").State().String() == "draining" {
		t.Errorf("%v, said %s", err, out)
	}
}

func TestDrainThatIsInterruptedGoesOn(t *testing.T) {
	r, _ := busy(t)
	out, stop, ended := draining(&drainCmd{Name: "gpu-1", Wait: true}, r.adminURL())
	until(t, "its beginning", func() bool { return strings.Contains(out.String(), "under way: 1\n") })
	stop()
	if err := receive(t, ended, "the end"); err == nil || !strings.Contains(err.Error(), "gpu-1 goes on draining; under way: 1") {
		t.Errorf("got %v", err)
	}
	if got := r.sched.Named("gpu-1").State().String(); got != "draining" {
		t.Errorf("it is %s", got)
	}
}

func TestDrainThatIsTakenBackIsNotWaitedFor(t *testing.T) {
	r, _ := busy(t)
	out, stop, ended := draining(&drainCmd{Name: "gpu-1", Wait: true}, r.adminURL())
	defer stop()
	until(t, "its beginning", func() bool { return strings.Contains(out.String(), "under way: 1\n") })
	r.sched.Drain("gpu-1", false)
	if err := receive(t, ended, "the end"); err == nil || !strings.Contains(err.Error(), "somebody took it back") {
		t.Errorf("got %v", err)
	}
}

func TestDrainSaysWhatIsWrong(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("sk-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := registering(t, "instances: [{url: 'http://127.0.0.1:9', name: gpu-1}]\ndiscovery: {register: {token_file: "+token+"}}")
	f := func(status int, want string, args ...string) {
		t.Helper()
		got, out, errs := command(append([]string{"drain", "--scheduler", r.adminURL()}, args...)...)
		if got != status || !strings.Contains(out+errs, want) {
			t.Errorf("%v: status %d, said %s%s, want %d with %s", args, got, out, errs, status, want)
		}
	}
	f(1, "(401): there is no token", "gpu-1")
	f(0, "gpu-1 drains; under way: 0\n", "gpu-1", "--token-file", token)
	f(0, "gpu-1 drains; under way: 0\n", "gpu-1", "--wait", "--token-file", token)
	f(0, "gpu-1 is not drained any more\n", "gpu-1", "--undo", "--token-file", token)
	f(1, "no instance has the name gpu-2", "gpu-2", "--token-file", token)
	f(2, "--token-file: ", "gpu-1", "--token-file", token+".none")
	f(2, "which instance?")
	f(2, "need a URL such as", "gpu-1", "--scheduler", "127.0.0.1:8081")
	f(1, "is no admin port", "gpu-1", "--scheduler", r.urls()[0])
	f(1, "connection refused", "gpu-1", "--scheduler", "http://127.0.0.1:1")
	f(1, "no router at http://127.0.0.1:1 ", "gpu-1", "--admin", "http://127.0.0.1:1")
}

// Each command calls the admin port by its own name, and understands the others'.
func TestTheAdminPortHasOneNameEverywhere(t *testing.T) {
	r := registering(t, "instances: [{url: 'http://127.0.0.1:9', name: gpu-1}]")
	for _, flag := range []string{"--scheduler", "--admin"} {
		if status, out, errs := command("drain", "gpu-1", flag, r.adminURL()); status != 0 {
			t.Errorf("drain %s: %d %s%s", flag, status, out, errs)
		}
		if status, out, errs := command("explain", "--last", "1", flag, r.adminURL()); status != 1 || !strings.Contains(errs, "has decided nothing yet") {
			t.Errorf("explain %s: %d %s%s", flag, status, out, errs)
		}
		if status, out, errs := command("register", flag, r.adminURL()); status != 2 || !strings.Contains(errs, "--instance: need the engine's URL") {
			t.Errorf("register %s: %d %s%s", flag, status, out, errs)
		}
	}
}

func TestDrainSaysThatItWaitsForWebSockets(t *testing.T) {
	r := registering(t, "websocket: {paths: [/v1/echo]}\ninstances: [{url: '"+engines(t, 1)[0]+"', name: gpu-1}]")
	until(t, "gpu-1", func() bool { i := r.sched.Named("gpu-1"); return i != nil && i.State().String() == "healthy" })
	dial := func() *websocket.Conn {
		t.Helper()
		ws, _, err := websocket.DefaultDialer.Dial(strings.Replace(r.urls()[0], "http", "ws", 1)+"/v1/echo", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		return ws
	}
	one, two := dial(), dial()
	out, stop, ended := draining(&drainCmd{Name: "gpu-1", Wait: true}, r.adminURL())
	defer stop()
	const begins = "gpu-1 drains; under way: 2 (2 WebSockets open)\nwaiting: 2 WebSockets open on gpu-1: each ends with its client or its engine, or once nothing has passed for websocket.idle_timeout\n"
	until(t, "its beginning", func() bool { return out.String() == begins })
	one.Close()
	until(t, "the end of one", func() bool { return out.String() == begins+"gpu-1: under way: 1 (1 WebSocket open)\n" })
	two.Close()
	if err := receive(t, ended, "the end"); err != nil || !strings.HasSuffix(out.String(), "gpu-1: under way: 0\n") {
		t.Errorf("%v, said %s", err, out)
	}
}
