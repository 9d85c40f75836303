package dataplane

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	"penstock/bpf"
	"penstock/scheduler"
)

// kernelMu keeps the tests that move this process into a cgroup apart.
var kernelMu sync.Mutex

// hearing is start with the kernel's events by one rung.
func hearing(t testing.TB, mode bpf.Mode, engine string) *rig {
	t.Helper()
	if os.Geteuid() != 0 && (mode == bpf.Sockops || mode == bpf.Tracepoints) {
		t.Skip("programs in the kernel need root")
	}
	kernelMu.Lock()
	t.Cleanup(kernelMu.Unlock)
	var source bpf.Source
	r := start(t, roomy(instances(engine)), calm, func(g *Gateway, s *scheduler.Scheduler) {
		source = bpf.Open(bpf.Options{Mode: mode, Sample: g.Sample, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
		if source.Mode() != mode {
			t.Fatalf("the kernel offers %s, want %s", source.Mode(), mode)
		}
		t.Cleanup(func() {
			if err := source.Close(); err != nil {
				t.Error(err)
			}
		})
		s.Hear(source)
		g.Hear()
	})
	if err := source.Listen(uint16(r.g.Addrs()[0].(*net.TCPAddr).Port)); err != nil {
		t.Error(err)
	}
	return r
}

func onRungs(t *testing.T, f func(t *testing.T, mode bpf.Mode)) {
	for _, mode := range []bpf.Mode{bpf.Sockops, bpf.Tracepoints, bpf.TCPInfo} {
		t.Run(string(mode), func(t *testing.T) { f(t, mode) })
	}
}

// What the kernel counts is what the clients were given, and a connection that
// the engine closes is gone before anybody asks for it.
func TestKernelCountsWhatGoesToTheEngine(t *testing.T) {
	onRungs(t, func(t *testing.T, mode bpf.Mode) {
		e := newEngine(t, ok)
		r := hearing(t, mode, e.url)
		i := r.sched.Instances()[0]
		r.until("the instance to have a row", func() bool { _, is := i.Row(); return is })
		var answers int
		p := r.dial() // one client that stays: who leaves right after its answer may cost the engine's connection
		for range 20 {
			p.post(ask)
			resp, body := p.whole()
			expect(t, resp, body, 200, "")
			answers += len(body)
		}
		r.until("the connections to be counted", func() bool { c, _ := i.Wire(); return c.Active > 0 })
		c, _ := i.Wire()
		if c.Refused+c.Resets+c.Timeouts+c.Unanswered > 0 {
			t.Errorf("%+v", c)
		}
		if i.BytesInFrom() == "gateway" && c.BytesIn != uint64(answers) {
			t.Errorf("%d bytes in from the %s, the clients had %d", c.BytesIn, i.BytesInFrom(), answers)
		}
		st := r.g.stations.look(i)
		r.until("the connection to be idle", func() bool { return len(st.warm.snapshot()) > 0 })
		e.srv.SetKeepAlivesEnabled(false) // closes those that are idle
		r.until("the idle connections to be evicted", func() bool { return len(st.warm.snapshot()) == 0 && st.warm.staleCount() > 0 })
		r.until("the closings to be counted", func() bool {
			c, _ := i.Wire()
			return c.PeerClosed+c.Resets >= st.warm.staleCount() || mode == bpf.TCPInfo
		})
	})
}

func TestKernelTellsOfAClientThatLeaves(t *testing.T) {
	onRungs(t, func(t *testing.T, mode bpf.Mode) {
		asked, left := make(chan struct{}), make(chan struct{})
		e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			close(asked)
			<-r.Context().Done()
			close(left)
		})
		r := hearing(t, mode, e.url)
		p := r.dial()
		p.post(askStream)
		r.wait(asked, "the engine to have the request")
		p.Close()
		r.wait(left, "the engine to hear that the client left")
	})
}

// BenchmarkAbort is from a client's close(2) to the FIN at the engine.
func BenchmarkAbort(b *testing.B) {
	f := func(b *testing.B, begin func(engine string) *rig) {
		asked, left := make(chan struct{}), make(chan struct{})
		engine := plainEngine(b, func(c net.Conn) {
			asked <- struct{}{}
			var one [1]byte
			c.Read(one[:])
			left <- struct{}{}
		})
		r := begin(engine)
		var request bytes.Buffer
		request.WriteString(sized(len(askStream)))
		for b.Loop() {
			b.StopTimer()
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				b.Fatal(err)
			}
			c.Write(request.Bytes())
			<-asked
			b.StartTimer()
			c.Close()
			<-left
		}
	}
	b.Run("epoll", func(b *testing.B) {
		f(b, func(engine string) *rig { return start(b, roomy(instances(engine)), calm) })
	})
	b.Run("sockops", func(b *testing.B) {
		f(b, func(engine string) *rig { return hearing(b, bpf.Sockops, engine) })
	})
}
