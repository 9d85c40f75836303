package dataplane

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"penstock/scheduler"
)

// closed checks that the peer's connection ends, and with nothing more said.
func (p *peer) closed() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); err != nil || len(rest) > 0 {
		p.t.Fatalf("at the end: %q, %v; want the connection closed", rest, err)
	}
}

// alive checks that another request can follow.
func (p *peer) alive() {
	p.t.Helper()
	p.line("GET", "/ping")
	if resp, body := p.answer("GET"); resp.StatusCode != 200 {
		p.t.Fatalf("the next request: %d %s", resp.StatusCode, body)
	}
}

func TestExpectContinue(t *testing.T) {
	r := start(t, instances(echoing(t).url), nil)
	f := func(framing, body string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.line("POST", "/v1/completions", "Expect: 100-Continue", framing)
		if line, err := p.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" || err != nil {
			t.Fatalf("got %q, %v", line, err)
		}
		p.r.ReadString('\n')
		p.send("%s", body)
		if resp, got := p.whole(); resp.StatusCode != 200 || got != ask {
			t.Fatalf("got %d %q", resp.StatusCode, got)
		}
		p.post(ask, "Expect: 100-continue") // the body came along: nothing to grant
		if resp, got := p.whole(); resp.StatusCode != 200 || got != ask {
			t.Fatalf("got %d %q", resp.StatusCode, got)
		}
	}
	f("Content-Length: "+itoa(len(ask)), ask)
	f("Transfer-Encoding: chunked", chunked(ask, 10))
}

func TestExpectContinueIsRefusedWithoutTheBody(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), bodyBytes(1000))
	f := func(target string, status int, code string, headers ...string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.line("POST", target, append(headers, "Expect: 100-continue")...)
		resp, body := p.whole()
		expect(t, resp, body, status, code)
		if !resp.Close {
			t.Error("the connection is said to live on, and the body may come or not")
		}
		p.closed()
	}
	f("/nonsense", 404, "route_not_found", "Content-Length: 10")
	f("/v1/completions", 413, "body_too_large", "Content-Length: 1001")
	f("/nonsense", 404, "route_not_found", "Transfer-Encoding: chunked")
	p := r.dial()
	p.line("POST", "/v1/completions", "Content-Length: 10", "Expect: 200-maybe")
	resp, body := p.whole()
	expect(t, resp, body, 417, "invalid_request")
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	r := start(t, instances(echoing(t).url), nil)
	p := r.dial()
	var all strings.Builder
	const n = 20
	for i := range n {
		body := numbered(i)
		fmt.Fprintf(&all, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		fmt.Fprintf(&all, "GET /nonsense/%d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", i)
		all.WriteString(chunkedHead + chunked(body, 3))
	}
	p.send("%s", all.String())
	for i := range n {
		for _, want := range []string{numbered(i), "/nonsense/" + itoa(i), numbered(i)} {
			if resp, body := p.whole(); !strings.Contains(body, want) {
				t.Fatalf("got %d %q, want %q", resp.StatusCode, body, want)
			}
		}
	}
	p.alive()
}

func TestHTTP10(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	f := func(target, header string, keep bool) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		for range 2 {
			p.send("POST %s HTTP/1.0\r\nContent-Length: %d\r\n%s\r\n%s", target, len(ask), header, ask)
			resp := p.response()
			io.ReadAll(resp.Body)
			if resp.Proto != "HTTP/1.0" || resp.Close == keep || (resp.Header.Get("Connection") == "keep-alive") != keep {
				t.Fatalf("%s: %s, Connection: %q", target, resp.Proto, resp.Header.Get("Connection"))
			}
			if !keep {
				p.closed()
				return
			}
		}
	}
	for _, target := range []string{"/v1/completions", "/nonsense"} {
		f(target, "", false)
		f(target, "Connection: keep-alive\r\n", true)
		f(target, "Connection: close\r\n", false)
	}
}

func TestConnectionCloseIsObeyed(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	for _, target := range []string{"/v1/completions", "/nonsense", "/v1/embeddings"} {
		p := r.dial()
		p.request("POST", target, ask, "Connection: x, Close")
		if resp, _ := p.whole(); !resp.Close {
			t.Errorf("%s: the answer does not say Connection: close", target)
		}
		p.closed()
	}
}

func TestHEADHasNoBody(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	p := r.dial()
	f := func(target string, status int) {
		t.Helper()
		p.line("HEAD", target)
		resp, body := p.answer("HEAD")
		if resp.StatusCode != status || body != "" || resp.ContentLength <= 0 {
			t.Errorf("%s: %d %q, Content-Length %d", target, resp.StatusCode, body, resp.ContentLength)
		}
		p.alive()
	}
	f("/v1/models", 200)
	f("/health", 200)
	f("/nonsense", 404)
	f("/v1/completions", 405)
}

func TestUnwantedBody(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil)
	f := func(n int, keep bool) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.line("POST", "/nonsense", "Content-Length: "+itoa(n))
		sent := make(chan struct{})
		go func() { // the answer may come before all was sent
			defer close(sent)
			io.WriteString(p.Conn, strings.Repeat("x", n))
		}()
		resp, body := p.whole()
		expect(t, resp, body, 404, "route_not_found")
		if resp.Close == keep {
			t.Fatalf("%d bytes: Connection: close is %v", n, resp.Close)
		}
		if keep {
			<-sent
			p.alive()
		}
	}
	f(0, true)
	f(10, true)
	f(60<<10, true)
	f(100<<10, false)
	p := r.dial()
	p.send("POST /nonsense HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s", chunked(ask, 9))
	if resp, _ := p.whole(); resp.StatusCode != 404 || !resp.Close {
		t.Errorf("chunked: %d, close %v", resp.StatusCode, resp.Close)
	}
	p.closed()
}

func TestTooManyConnectionsAreTurnedAway(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limits(func(l *Limits) { l.Connections = 2 }))
	first, second := r.dial(), r.dial()
	first.alive()
	second.alive()
	third := r.dial()
	if _, err := third.r.ReadByte(); !errors.Is(err, io.EOF) && !isReset(err) {
		t.Fatalf("the third connection: %v", err)
	}
	first.Close()
	r.until("room", func() bool { return r.metric("penstock_gateway_connections") == 1 })
	r.dial().alive()
}

func TestUnixSocket(t *testing.T) {
	path := t.TempDir() + "/penstock.sock"
	from := make(chan string, 1)
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		from <- r.Header.Get("X-Forwarded-For")
		ok(w, r)
	})
	start(t, instances(e.url), func(c *Config, _ *scheduler.Config) { c.Listen = append(c.Listen, "unix:"+path) })
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(ask), ask)
	b, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(b), "HTTP/1.0 200 OK\r\n") {
		t.Fatalf("got %q, %v", b, err)
	}
	if got := <-from; got != "unknown" {
		t.Errorf("X-Forwarded-For is %q", got)
	}
}
