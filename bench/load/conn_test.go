package load

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestConnectionsAreKept(t *testing.T) {
	var opened atomic.Int64
	s := serveConns(t, stream, func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	})
	counts(t, mustRun(t, short(s.URL, 50)), 50, 0, "", 0)
	if n := opened.Load(); n > 2 {
		t.Errorf("%d connections for two requests at a time", n)
	}
}

// A server that closes idle connections makes no errors: none is used again.
func TestConnectionThatTheServerClosedIsNotUsed(t *testing.T) {
	var mu sync.Mutex
	idle := make(map[net.Conn]bool)
	s := serveConns(t, stream, func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		idle[c] = state == http.StateIdle
	})
	to, err := targetOf(s.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(to)
	defer c.close()
	for i := range 20 {
		if _, err := c.firstModel(t.Context(), "", patience); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		late := time.Now().Add(patience)
		for closed := false; !closed; {
			if time.Now().After(late) {
				t.Fatal("no idle connection")
			}
			mu.Lock()
			for nc, is := range idle {
				if is {
					nc.Close()
					delete(idle, nc)
					closed = true
				}
			}
			mu.Unlock()
		}
		// The FIN is on loopback: it is there when Close returns.
	}
}

func TestClosedDialerConnectsNoMore(t *testing.T) {
	s := serve(t, stream)
	d := newDialer()
	c, err := d.dial(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d.close()
	if _, err := c.Write([]byte("x")); err == nil {
		t.Error("the connection is still open")
	}
	if _, err := d.dial(s.Listener.Addr().String()); classOf(err, false) != classConnect {
		t.Errorf("got error %v, want one of connecting", err)
	}
	if len(d.open) != 0 {
		t.Errorf("%d connections are still known", len(d.open))
	}
}
