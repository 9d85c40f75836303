package dataplane

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
)

// short is a time limit that a test waits for.
const short = 50 * time.Millisecond

func TestSlowHeadTimesOut(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.HeaderTimeout = short }))
	p := r.dial()
	p.alive()
	p.send("POST /v1/comp")
	resp, body := p.whole()
	expect(t, resp, body, 408, "request_timeout")
	if !resp.Close {
		t.Error("the connection is said to live on")
	}
	p.closed()
	r.until("the refusal to be counted", func() bool {
		return r.metric(`penstock_requests_total{route="other",code="408",key=""}`) == 1
	})
}

// A client that drips never runs into a limit on a single read.
func TestDrippingClientTimesOut(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.HeaderTimeout, l.BodyTimeout = short, short }))
	f := func(begin, drop string) {
		t.Helper()
		p := r.dial()
		p.send("%s", begin)
		done := make(chan struct{})
		defer close(done)
		go func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					io.WriteString(p.Conn, drop)
				case <-done:
					return
				}
			}
		}()
		resp, body := p.whole()
		expect(t, resp, body, 408, "request_timeout")
	}
	f("GET /ping HTTP/1.1\r\n", "X")
	f("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", " ")
	f(chunkedHead, "1\r\n \r\n")
}

func TestSlowBodyTimesOut(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), limits(func(l *Limits) { l.BodyTimeout = short }))
	f := func(request string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.send("%s", request)
		resp, body := p.whole()
		expect(t, resp, body, 408, "request_timeout")
		p.closed()
	}
	f("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 45\r\n\r\n" + ask[:10])
	f("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 45000\r\n\r\n" + ask)
	f(chunkedHead)
	f(chunkedHead + "1\r\n{\r\n")
	if n := asked.Load(); n != 0 {
		t.Errorf("the engine was asked %d times", n)
	}
	r.until("nothing to be held", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
}

func TestIdleConnectionIsClosedInSilence(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.IdleTimeout = short }))
	unused := r.dial()
	used := r.dial()
	used.post(ask)
	used.whole()
	unused.closed()
	used.closed()
	r.until("the connections to be gone", func() bool { return r.metric("penstock_gateway_connections") == 0 })
	if n := r.metric(`penstock_request_errors_total{reason="bad_request"}`); n != 0 {
		t.Errorf("an idle connection counted as %v bad requests", n)
	}
}

func TestEngineThatNeverReadsALargeBodyDoesNotHangIt(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // takes connections, and nothing from them
		var taken []net.Conn
		defer func() {
			for _, c := range taken {
				c.Close()
			}
		}()
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.(*net.TCPConn).SetReadBuffer(4 << 10)
			taken = append(taken, c)
		}
	}()
	r := start(t, instances("http://"+ln.Addr().String(), newEngine(t, ok).url), func(c *Config, _ *scheduler.Config) { c.Limits.StallTimeout = 200 * time.Millisecond })
	for range 2 { // one of the two goes to it first
		resp, body := r.do(`{"model":"m","prompt":"` + strings.Repeat("x", 20<<20) + `"}`)
		expect(t, resp, body, 200, "")
	}
}

// notedConn counts the deadlines that it is given.
type notedConn struct {
	net.Conn
	deadlines int
}

func (n *notedConn) SetDeadline(time.Time) error { n.deadlines++; return nil }

func TestDeadlineOfATryDoesNotEndTheNext(t *testing.T) {
	c := &client{}
	if c.carry(&engineConn{Conn: &notedConn{}}) != nil {
		t.Fatal("it was interrupted")
	}
	c.withinAt(0, doingEngine, 1000)
	late := c.deadline.Load() // as the sweeper has read it
	c.carry(nil)
	second := &notedConn{}
	c.carry(&engineConn{Conn: second})
	c.expire(late)
	if second.deadlines > 0 || c.expired.Load() {
		t.Error("the second try was ended by the first's deadline, before it was asked for anything")
	}
}

func TestExpiryThatCameLateDoesNotCutTheNextRequest(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := &client{call: call{g: &Gateway{start: time.Now()}}, conn: near}
	c.to = c
	c.withinAt(0, doingRead, 1000)
	c.expire(c.deadline.Load()) // the body had been read a moment before
	c.freshen()
	go far.Write([]byte("next"))
	if n, err := near.Read(make([]byte, 8)); n != 4 {
		t.Errorf("the next request's bytes: %d, %v", n, err)
	}
}
