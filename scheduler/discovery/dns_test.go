package discovery

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameServer answers on loopback as the test says.
type nameServer struct {
	addr string

	mu      sync.Mutex
	records []string
	rcode   int
	over    bool // says that the answer does not fit
	tcp     int  // questions over TCP
}

func newNameServer(t *testing.T) *nameServer {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{addr: pc.LocalAddr().String()}
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Skip("the port is taken for TCP: ", err)
	}
	for _, server := range []*dns.Server{{PacketConn: pc, Handler: s}, {Listener: ln, Handler: s}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go server.ActivateAndServe()
		<-started
		t.Cleanup(func() { server.Shutdown() })
	}
	return s
}

func (s *nameServer) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	m.Rcode = s.rcode
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); tcp {
		s.tcp++
	} else if s.over {
		m.Truncated = true
		w.WriteMsg(m)
		return
	}
	for _, text := range s.records {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	w.WriteMsg(m)
}

func (s *nameServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func TestRecordsAreInstances(t *testing.T) {
	s := newNameServer(t)
	f := func(kind string, port int, want string, wantNext time.Duration, records ...string) {
		t.Helper()
		s.set(func() { s.records = records })
		got := make(sets, 1)
		d := &DNS{Name: "rack.internal", Type: kind, Port: port, Refresh: 10 * time.Second, Servers: []string{s.addr}, Set: got.set, Log: make(lines, 9).logger()}
		next := d.refresh(t.Context())
		got.want(t, want)
		if next != wantNext {
			t.Errorf("asks again after %v, want %v", next, wantNext)
		}
	}
	f("srv", 0, "http://gpu-1.rack:8000 http://gpu-2.rack:8001", 7*time.Second,
		"rack.internal. 7 IN SRV 0 0 8001 GPU-2.rack.", "rack.internal. 9 IN SRV 0 0 8000 gpu-1.rack.",
		"rack.internal. 9 IN SRV 0 0 8000 gpu-1.rack.", "rack.internal. 9 IN SRV 0 0 0 .")
	f("srv", 0, "http://main:8000 http://spare:8000", 10*time.Second, // the lowest priority that is there
		"rack.internal. 60 IN SRV 10 9 8000 main.", "rack.internal. 60 IN SRV 99 1 8000 last.",
		"rack.internal. 60 IN SRV 10 1 8000 spare.", "rack.internal. 60 IN SRV 1 1 0 .")
	f("srv", 0, "http://last:8000", 10*time.Second, "rack.internal. 60 IN SRV 99 1 8000 last.")
	f("a", 8000, "http://10.0.0.1:8000 http://10.0.0.2:8000", time.Second,
		"rack.internal. 0 IN A 10.0.0.2", "rack.internal. 60 IN A 10.0.0.1", "rack.internal. 60 IN AAAA fd00::1")
	f("aaaa", 8000, "http://[fd00::1]:8000", 10*time.Second, "rack.internal. 60 IN AAAA fd00::1")
}

func TestNameServerThatFailsLeavesTheListAsItWas(t *testing.T) {
	s := newNameServer(t)
	got, log := make(sets, 9), make(lines, 99)
	d := &DNS{Name: "rack.internal", Type: "a", Port: 8000, Refresh: 10 * time.Second, Servers: []string{s.addr}, Set: got.set, Log: log.logger()}
	one := []string{"rack.internal. 60 IN A 10.0.0.1"}
	s.set(func() { s.records = one })
	d.refresh(t.Context())
	got.want(t, "http://10.0.0.1:8000")
	s.set(func() { s.records, s.rcode = nil, dns.RcodeServerFailure })
	for range 10 {
		d.refresh(t.Context())
	}
	log.want(t, "SERVFAIL")
	s.set(func() { s.rcode = dns.RcodeNameError })
	d.refresh(t.Context())
	log.want(t, "has no A records")
	d.refresh(t.Context())
	if len(got) > 0 || len(log) > 0 {
		t.Fatalf("two empty answers: %d lists, %d more lines", len(got), len(log))
	}
	d.refresh(t.Context())
	got.want(t, "")
	log.want(t, "answers again")
	s.set(func() { s.records, s.rcode = one, dns.RcodeSuccess })
	d.refresh(t.Context())
	got.want(t, "http://10.0.0.1:8000")
}

func TestLongAnswerComesOverTCP(t *testing.T) {
	s := newNameServer(t)
	s.set(func() { s.records, s.over = []string{"rack.internal. 60 IN A 10.0.0.1"}, true })
	got := make(sets, 1)
	d := &DNS{Name: "rack.internal", Type: "a", Port: 80, Refresh: time.Second, Servers: []string{s.addr}, Set: got.set, Log: make(lines, 9).logger()}
	d.refresh(t.Context())
	got.want(t, "http://10.0.0.1:80")
	if s.tcp != 1 {
		t.Errorf("%d questions over TCP", s.tcp)
	}
}

func TestNextServerIsAsked(t *testing.T) {
	sick, well := newNameServer(t), newNameServer(t)
	sick.set(func() { sick.rcode = dns.RcodeRefused })
	well.set(func() { well.records = []string{"rack.internal. 60 IN A 10.0.0.1"} })
	got := make(sets, 1)
	d := &DNS{Name: "rack.internal", Type: "a", Port: 80, Refresh: time.Second, Servers: []string{sick.addr, well.addr}, Set: got.set, Log: make(lines, 9).logger()}
	d.refresh(t.Context())
	got.want(t, "http://10.0.0.1:80")
}

func TestNameServerThatIsAwayIsSaidOnce(t *testing.T) {
	s := newNameServer(t)
	s.set(func() { s.records = []string{"rack.internal. 60 IN A 10.0.0.1"} })
	got, log := make(sets, 1), make(lines, 99)
	d := &DNS{Name: "rack.internal", Type: "a", Port: 80, Refresh: time.Second, Servers: []string{s.addr}, Set: got.set, Log: log.logger()}
	d.refresh(t.Context())
	got.want(t, "http://10.0.0.1:80")
	away, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away.Close() // refused, from another port of ours each time
	d.Servers = []string{away.LocalAddr().String()}
	for range 3 {
		d.refresh(t.Context())
	}
	if log.want(t, "refused"); len(log) > 0 {
		t.Errorf("said again: %s", <-log)
	}
}
