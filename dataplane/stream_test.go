package dataplane

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
)

func TestEventLeavesAsSoonAsItCame(t *testing.T) {
	next := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w)
		for _, d := range []string{"one", "two", "[DONE]"} {
			event(w, d)
			<-next
		}
	})
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(askStream)
	body := p.response().Body
	for _, want := range []string{"data: one\n\n", "data: two\n\n", "data: [DONE]\n\n"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Fatalf("after the end: %q, %v", rest, err)
	}
	p.post(ask) // the connection lives on
	close(next)
	if resp := p.response(); resp.StatusCode != 200 {
		t.Fatalf("after a stream: %d", resp.StatusCode)
	}
}

// raw runs an engine that answers with these very bytes and then closes.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c, rw := hijack(w)
		rw.WriteString(answer)
		rw.Flush()
		c.Close()
	}
}

const sseHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestFramingAndBytesPassUntouched(t *testing.T) {
	const framed = "5\r\ndata:\r\n00a;ext=1\r\n hello\n\nda\r\n3\r\nta:\r\n9\r\n [DONE]\n\n\r\n0\r\n\r\n"
	r := start(t, instances(newEngine(t, raw(sseHead+framed)).url), nil)
	p := r.dial()
	p.post(askStream)
	for {
		line, err := p.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	got := make([]byte, len(framed))
	if _, err := io.ReadFull(p.r, got); err != nil || string(got) != framed {
		t.Fatalf("got  %q\nwant %q (%v)", got, framed, err)
	}
}

func TestCutStreamEndsWithAnErrorEvent(t *testing.T) {
	f := func(name, framed, wantBefore string) {
		t.Helper()
		r := start(t, instances(newEngine(t, raw(sseHead+framed)).url), nil)
		resp, body := r.do(askStream)
		head, errEvent, found := strings.Cut(body, "data: {\"error\":")
		if resp.StatusCode != 200 || !found || head != wantBefore {
			t.Errorf("%s: got %d %q, want %q and then the error", name, resp.StatusCode, body, wantBefore)
		}
		if strings.Contains(body, "[DONE]") || !strings.HasSuffix(strings.TrimRight(errEvent, "\n"), "}}") {
			t.Errorf("%s: the error is not the last thing sent: %q", name, body)
		}
		r.until("the failure to be counted", func() bool { return r.metric(`penstock_request_errors_total{reason="instance_failed"}`) == 1 })
	}
	f("between two events", "b\r\ndata: one\n\n\r\n", "data: one\n\n")
	f("inside an event, between chunks", "9\r\ndata: one\r\n", "data: one\n\n")
	f("after one line end", "a\r\ndata: one\n\r\n", "data: one\n\n")
	f("inside a small chunk", "20\r\ndata: one\n\n", "data: one\n\n")
	f("inside a large chunk", "800\r\ndata: one\n\n", "data: one\n\n")
}

func TestCutStreamOfAnyFramingEndsWithAnErrorEvent(t *testing.T) {
	f := func(head string) {
		t.Helper()
		r := start(t, instances(newEngine(t, raw(head+"data: one\n\n")).url), nil)
		resp, body := r.do(askStream)
		if resp.StatusCode != 200 || !strings.HasPrefix(body, "data: one\n\ndata: {\"error\":") {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 4000\r\n\r\n")
	f("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
}

func TestHalfAJSONAnswerIsNotTakenForAWhole(t *testing.T) {
	r := start(t, instances(newEngine(t, raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"id\":")).url), nil)
	p := r.dial()
	p.post(ask)
	if b, err := io.ReadAll(p.response().Body); err == nil {
		t.Fatalf("read %q without an error", b)
	}
}

func TestStalledStreamTimesOut(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		sse(w)
		event(w, "one")
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	r := start(t, instances(e.url), func(c *Config, _ *scheduler.Config) { c.Limits.StallTimeout = 200 * time.Millisecond })
	_, body := r.do(askStream)
	if !strings.Contains(body, `"code":"instance_timeout"`) {
		t.Fatalf("got %q", body)
	}
}

// hanging is an engine that tells when a request came and when its client left.
func hanging(t *testing.T, first bool) (e *engine, came, gone chan struct{}) {
	came, gone = make(chan struct{}, 64), make(chan struct{}, 64)
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if first {
			sse(w)
			event(w, "one")
		}
		came <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}), came, gone
}

func TestClientThatLeavesAbortsTheEnginesWork(t *testing.T) {
	f := func(when string, first bool, leave func(p *peer)) {
		t.Helper()
		e, came, gone := hanging(t, first)
		r := start(t, instances(e.url), nil)
		p := r.dial()
		p.post(askStream)
		r.wait(came, "the request")
		if first {
			p.response()
		}
		left := time.Now()
		leave(p)
		r.wait(gone, "the engine to see the client leave")
		t.Logf("%s: the engine knew after %v", when, time.Since(left))
		r.until("the abort to be counted", func() bool { return r.metric(`penstock_aborts_total{when="`+when+`"}`) == 1 })
		if got := r.sched.Instances()[0].State(); got != scheduler.Healthy && got != scheduler.Starting {
			t.Errorf("a client that leaves counted against the instance: %v", got)
		}
	}
	f("before_first_byte", false, func(p *peer) { p.Close() })
	f("streaming", true, func(p *peer) { p.Close() })
	f("before_first_byte", false, func(p *peer) { p.Conn.(interface{ CloseWrite() error }).CloseWrite() })
}

func TestBackPressureReachesTheEngine(t *testing.T) {
	stuck := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw := hijack(w)
		rw.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		rw.Flush()
		chunk := make([]byte, 64<<10)
		for n := 0; n < 256<<20; n += len(chunk) {
			c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
			if _, err := c.Write(chunk); err != nil {
				close(stuck)
				c.Close()
				return
			}
		}
	})
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(askStream)
	p.response() // and read no further
	r.wait(stuck, "the engine to be held back")
}

func TestHTTP10ClientGetsThePayloadAlone(t *testing.T) {
	const framed = "b\r\ndata: one\n\n\r\ne\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
	r := start(t, instances(newEngine(t, raw(sseHead+framed)).url), nil)
	p := r.dial()
	p.send("POST /v1/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(askStream), askStream)
	b, err := io.ReadAll(p.r)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(b), "\r\n\r\n")
	if !strings.HasPrefix(head, "HTTP/1.0 200") || strings.Contains(head, "chunked") || body != "data: one\n\ndata: [DONE]\n\n" {
		t.Fatalf("got %q", b)
	}
}

// stutters is an engine that sends its pieces one by one: each when the client
// has seen what came before.
func stutters(seen <-chan struct{}, pieces ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c, rw := hijack(w)
		defer c.Close()
		for i, piece := range pieces {
			if i > 0 {
				<-seen
			}
			rw.WriteString(piece)
			rw.Flush()
		}
	}
}

func TestStreamWithABadChunkEndsInOrder(t *testing.T) {
	seen := make(chan struct{}, 1)
	e := newEngine(t, stutters(seen, sseHead+"14\r\ndata: one\n\n", "data: tw\n\r\nZZ\r\n"))
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(askStream)
	body := p.response().Body
	first := make([]byte, len("data: one\n\n"))
	if _, err := io.ReadFull(body, first); err != nil {
		t.Fatal(err)
	}
	seen <- struct{}{}
	rest, err := io.ReadAll(body)
	if err != nil || !strings.HasPrefix(string(rest), "data: tw\n") || !strings.Contains(string(rest), `data: {"error"`) {
		t.Errorf("got %q, %v", rest, err)
	}
}

func TestStreamCutBetweenDataAndLineEndSaysSo(t *testing.T) {
	r := start(t, instances(newEngine(t, raw(sseHead+"b\r\ndata: one\n\n")).url), nil)
	p := r.dial()
	p.post(askStream)
	body, err := io.ReadAll(p.response().Body)
	if err != nil || !strings.Contains(string(body), `data: {"error"`) {
		t.Errorf("got %q, %v", body, err)
	}
}
