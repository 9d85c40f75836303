package dataplane

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"penstock/scheduler"
)

// nameServer makes every look-up of this process ask on loopback, where every
// name has the address that was last stored, until the test ends.
func nameServer(t *testing.T) (at *atomic.Value) {
	t.Helper()
	at = new(atomic.Value)
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer := func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			rr, err := dns.NewRR(q.Question[0].Name + " 1 IN A " + at.Load().(string))
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		w.WriteMsg(m)
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(answer), NotifyStartedFunc: func() { close(started) }}
	go server.ActivateAndServe()
	<-started
	usual := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", pc.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = usual
		server.Shutdown()
	})
	return at
}

// The old host lives on and answers: only the name says that it is the wrong one.
func TestHostThatMovesIsFollowed(t *testing.T) {
	if testing.Short() {
		t.Skip("names are looked up every 5 s")
	}
	at := nameServer(t)
	at.Store("127.0.0.1")
	named := func(host string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Host", host)
			ok(w, r)
		}
	}
	before, after := newEngine(t, named("old")), newEngine(t, named("new"))
	_, port, _ := strings.Cut(strings.TrimPrefix(before.url, "http://"), ":")
	ln, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skip("the port is taken at the second address: ", err)
	}
	go after.srv.Serve(ln)

	r := start(t, instances("http://engine.test:"+port), nil)
	r.well()
	i := r.sched.Instances()[0]
	r.until("the name to be looked up", func() bool { return i.Addr() == "127.0.0.1:"+port })
	host := func() string {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
		return resp.Header.Get("X-Host")
	}
	for range 3 {
		if h := host(); h != "old" {
			t.Fatalf("the %s host answered", h)
		}
	}
	at.Store("127.0.0.2")
	// Its connection is warm all the time: by itself nothing would end it.
	r.until("the new host to answer", func() bool { return host() == "new" })
	if i.Addr() != "127.0.0.2:"+port || r.sched.Instances()[0] != i {
		t.Errorf("the instance is at %s", i.Addr())
	}
	r.until("the connections to the old host to be closed", func() bool {
		before.mu.Lock()
		defer before.mu.Unlock()
		return len(before.open) == 0
	})
	for range 3 {
		if h := host(); h != "new" {
			t.Errorf("the %s host answered", h)
		}
	}
	if s := r.g.Stats(); s.Errors != 0 || s.Retries != 0 {
		t.Errorf("the move cost %d errors and %d retries", s.Errors, s.Retries)
	}
}

// Whoever uses a connection while its host moves brings it back too late to be
// dropped with the idle ones.
func TestConnectionUsedDuringAMoveIsNotKept(t *testing.T) {
	p := newPool(t)
	used, _ := p.open()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	p.warm.addr = func() string { return other.Addr().String() }
	p.flush()
	p.put(used, time.Now())
	if p.size() != 0 {
		t.Error("a connection to the old address is kept")
	}
	moved := p.take(time.Now(), false)
	if to := moved.RemoteAddr().String(); to != other.Addr().String() {
		t.Errorf("the next goes to %s, want %s", to, other.Addr())
	}
	if p.put(moved, time.Now()); p.size() != 1 {
		t.Error("a connection to the new address is not kept")
	}
}

// An engine that loads another model says so by a 404, long before anybody
// would have asked it again.
func TestModelThatIsGoneIsNoticedByThe404(t *testing.T) {
	var swapped atomic.Bool
	var asked atomic.Int32
	const gone = `{"object":"error","message":"The model does not exist.","code":404}`
	answer := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		asked.Add(1)
		if swapped.Load() != strings.Contains(string(b), `"model":"n"`) {
			w.WriteHeader(404)
			io.WriteString(w, gone)
			return
		}
		ok(w, r)
	}
	e := newEngine(t, answer, func(s *http.Server) {
		rest := s.Handler
		s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/models" {
				rest.ServeHTTP(w, r)
				return
			}
			model := "m"
			if swapped.Load() {
				model = "n"
			}
			fmt.Fprintf(w, `{"object":"list","data":[{"id":%q,"object":"model"}]}`, model)
		})
	})
	r := start(t, instances(e.url), nil)
	r.well()
	serves := func(model string) bool {
		all := r.sched.Models()
		return len(all) == 1 && all[0].ID == model
	}
	if !serves("m") {
		t.Fatalf("the models are %v", r.sched.Models())
	}
	resp, body := r.do(ask)
	expect(t, resp, body, 200, "")
	swapped.Store(true)
	resp, body = r.do(ask)
	if resp.StatusCode != 404 || body != gone || resp.Header.Get("X-Penstock-Error") != "" {
		t.Errorf("got %d %s, want the engine's own word", resp.StatusCode, body)
	}
	r.until("the new model to be known", func() bool { return serves("n") }) // patience is less than the usual 30 s
	n := asked.Load()
	resp, body = r.do(ask)
	expect(t, resp, body, 404, "model_not_found")
	if asked.Load() != n {
		t.Error("the engine was asked for what it does not serve")
	}
	resp, body = r.do(`{"model":"n","prompt":"hello"}`)
	expect(t, resp, body, 200, "")
	if s := r.sched.Instances()[0].State(); s != scheduler.Healthy {
		t.Errorf("a 404 counts against the instance: %v", s)
	}
}
