package dataplane

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"penstock/scheduler"
)

// showing is an engine that tells what head it got.
func showing(t *testing.T) (*engine, chan *http.Request) {
	got := make(chan *http.Request, 64)
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		ok(w, r)
		got <- r
	}), got
}

func TestHopByHopHeadersOfARequestEndHere(t *testing.T) {
	e, got := showing(t)
	r := start(t, instances(e.url), nil)
	resp, body := r.do(ask, "Connection: X-Mine, keep-alive, TE", "X-Mine: 1", "Keep-Alive: timeout=5", "TE: trailers", "Upgrade: h2c",
		"Proxy-Authorization: Basic x", "Proxy-Connection: keep-alive", "Trailer: X-Sum", "X-Other: 1", "x-other: 2", "Accept-Encoding: gzip", "Cookie: a=b")
	expect(t, resp, body, 200, "")
	h := (<-got).Header
	for _, name := range []string{"Connection", "X-Mine", "Keep-Alive", "Te", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Trailer"} {
		if v, there := h[name]; there {
			t.Errorf("%s: %s was forwarded", name, v)
		}
	}
	if v := h["X-Other"]; len(v) != 2 || v[0] != "1" || v[1] != "2" || h.Get("Accept-Encoding") != "gzip" || h.Get("Cookie") != "a=b" || h.Get("Content-Type") != "application/json" {
		t.Errorf("what should pass did not: %v", h)
	}
}

func TestHopByHopHeadersOfAnAnswerEndHere(t *testing.T) {
	r := start(t, instances(newEngine(t, raw("HTTP/1.1 200 Fine\r\nConnection: X-Theirs, close\r\nX-Theirs: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"+
		"Set-Cookie: a\r\nSet-Cookie: b\r\nServer: uvicorn\r\nContent-Length: 2\r\n\r\n{}")).url), nil)
	p := r.dial()
	p.post(ask)
	resp, body := p.whole()
	for _, name := range []string{"Connection", "X-Theirs", "Keep-Alive", "Proxy-Authenticate"} {
		if v, there := resp.Header[name]; there {
			t.Errorf("%s: %s was forwarded", name, v)
		}
	}
	if v := resp.Header["Set-Cookie"]; len(v) != 2 || resp.Header.Get("Server") != "uvicorn" || resp.Status != "200 Fine" || body != "{}" || resp.Close {
		t.Errorf("what should pass did not: %s %v %q", resp.Status, resp.Header, body)
	}
	p.alive() // that the engine closes is no reason for us
}

func TestEngineSeesItsOwnHostAndWhereFrom(t *testing.T) {
	e, got := showing(t)
	list := instances(e.url + "/base/")
	r := start(t, list, nil)
	f := func(wantFor, wantProto string, headers ...string) {
		t.Helper()
		resp, body := r.do(ask, append(headers, "User-Agent: me")...)
		expect(t, resp, body, 200, "")
		for q := range got {
			if !strings.HasPrefix(q.URL.Path, "/base/v1/comp") { // the base is the probes' too
				continue
			}
			if "http://"+q.Host != e.url || q.RequestURI != "/base/v1/completions" || q.UserAgent() != "me" {
				t.Errorf("Host %q, %s, User-Agent %q", q.Host, q.RequestURI, q.UserAgent())
			}
			if v := q.Header["X-Forwarded-For"]; len(v) != 1 || v[0] != wantFor {
				t.Errorf("X-Forwarded-For: %q, want %q", v, wantFor)
			}
			if v := q.Header["X-Forwarded-Proto"]; len(v) != 1 || v[0] != wantProto {
				t.Errorf("X-Forwarded-Proto: %q, want %q", v, wantProto)
			}
			return
		}
	}
	f("127.0.0.1", "http")
	f("10.1.2.3, 127.0.0.1", "https", "X-Forwarded-For: 10.1.2.3", "X-Forwarded-Proto: https")
	f("10.1.2.3, 10.4.5.6, 127.0.0.1", "http", "X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: 10.4.5.6")
}

func TestClientsKeyGoesOnWhereItShould(t *testing.T) {
	f := func(engineKey, own, sent, want string) {
		t.Helper()
		e, got := showing(t)
		list := instances(e.url)
		list[0].APIKey = own
		r := start(t, list, func(c *Config, _ *scheduler.Config) { c.Auth.EngineKey = engineKey })
		resp, body := r.do(ask, "Authorization: "+sent)
		expect(t, resp, body, 200, "")
		if v := (<-got).Header.Values("Authorization"); strings.Join(v, "|") != want {
			t.Errorf("%s, own key %q: the engine saw %q, want %q", engineKey, own, v, want)
		}
	}
	f(EngineKeyPassthrough, "", "Bearer sk-one", "Bearer sk-one")
	f(EngineKeyPassthrough, "", "sk-one", "sk-one")
	f(EngineKeyPassthrough, "sk-own", "Bearer sk-one", "Bearer sk-own")
	f(EngineKeyDrop, "", "Bearer sk-one", "")
	f(EngineKeyDrop, "sk-own", "Bearer sk-one", "Bearer sk-own")
}

func TestRequestWithoutABodyHasNoLength(t *testing.T) {
	e, got := showing(t)
	r := start(t, instances(e.url), nil)
	f := func(method, target, want string) {
		t.Helper()
		resp, body := r.call(method, target)
		expect(t, resp, body, 200, "")
		if v := strings.Join((<-got).Header["Content-Length"], "|"); v != want {
			t.Errorf("%s: Content-Length %q, want %q", method, v, want)
		}
	}
	f("GET", "/v1/responses/resp_1", "")
	f("DELETE", "/v1/responses/resp_1", "")
	f("POST", "/v1/responses/resp_1/cancel", "0")
}

func TestInterimAnswersAreSkipped(t *testing.T) {
	const early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
	for _, answer := range []string{early + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", early + sseHead + "3\r\nabc\r\n0\r\n\r\n"} {
		r := start(t, instances(newEngine(t, raw(answer)).url), nil)
		p := r.dial()
		p.post(ask)
		if resp, body := p.whole(); resp.StatusCode != 200 || body != "{}" && body != "abc" || resp.Header.Get("Link") != "" {
			t.Errorf("got %d %q %v", resp.StatusCode, body, resp.Header)
		}
		p.alive()
	}
}

func TestAnswersWithoutABody(t *testing.T) {
	f := func(head string) {
		t.Helper()
		e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			c, rw := hijack(w)
			defer c.Close()
			for { // the connection lives on
				rw.WriteString(head + "X-N: 1\r\n\r\n")
				rw.Flush()
				next, err := http.ReadRequest(rw.Reader)
				if err != nil {
					return
				}
				io.Copy(io.Discard, next.Body)
			}
		})
		r := start(t, instances(e.url), nil)
		p := r.dial()
		for range 3 {
			p.post(ask)
			resp, body := p.whole()
			if got := fmt.Sprintf("HTTP/1.1 %s\r\n", resp.Status); !strings.HasPrefix(head, got) || body != "" || resp.Header.Get("X-N") != "1" || resp.Close {
				t.Errorf("got %s %q %v", resp.Status, body, resp.Header)
			}
		}
		if n := r.metric(`penstock_instance_dials_total{instance="a"}`); n != 1 {
			t.Errorf("%v connections to the engine, want 1", n)
		}
	}
	f("HTTP/1.1 204 No Content\r\n")
	f("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n")
	f("HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n")
	f("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
}

func TestAnswerThatTheConnectionsEndFrames(t *testing.T) {
	f := func(answer, want string, whole bool) {
		t.Helper()
		r := start(t, instances(newEngine(t, raw(answer)).url), nil)
		p := r.dial()
		p.post(ask)
		resp, body := p.whole()
		if resp.StatusCode != 200 || !resp.Close || resp.ContentLength != -1 {
			t.Errorf("got %d, close %v, Content-Length %d", resp.StatusCode, resp.Close, resp.ContentLength)
		}
		rest, cut := strings.CutPrefix(body, want)
		if !cut || whole != (rest == "") || !whole && !strings.HasPrefix(rest, `data: {"error":`) {
			t.Errorf("%q: got %q", answer, body)
		}
		p.closed()
	}
	const events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
	f("HTTP/1.0 200 OK\r\n\r\nhello", "hello", true)
	f("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", "hello", true)
	f("HTTP/1.1 200 OK\r\n\r\n", "", true)
	f(events+"data: one\n\ndata: [DONE]\n\n", "data: one\n\ndata: [DONE]\n\n", true)
	f(events+blade, blade, true)
	f(events+responses, responses, true)
	f(events+messages, messages, true)
	f(events+"data: one\n\n", "data: one\n\n", false)
}

func TestEnginesErrorsPassByteForByte(t *testing.T) {
	f := func(status int, head, framed, want string) {
		t.Helper()
		r := start(t, instances(newEngine(t, raw(fmt.Sprintf("HTTP/1.1 %d Engine's Word\r\n%s\r\n%s", status, head, framed))).url), nil)
		resp, body := r.do(askStream)
		if resp.StatusCode != status || resp.Status != fmt.Sprintf("%d Engine's Word", status) || body != want || resp.Header.Get("X-Penstock-Error") != "" {
			t.Errorf("got %s %q %v, want %q", resp.Status, body, resp.Header, want)
		}
	}
	const broken = "{\"error\": \x00\xff\r\n  not even JSON"
	for _, status := range []int{400, 401, 404, 413, 422, 429, 500, 501, 503} {
		f(status, fmt.Sprintf("Content-Length: %d\r\n", len(broken)), broken, broken)
		f(status, "Transfer-Encoding: chunked\r\n", chunked(broken, 5), broken)
		f(status, "Connection: close\r\n", broken, broken)
	}
}

// An engine may refuse a large request by its head. What it had not read makes
// its close a reset, and ours must still find the answer.
func TestEngineThatAnswersBeforeItHasReadTheRequest(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw := hijack(w)
		rw.WriteString("HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\n" + `{"no":"!"}`[:9])
		rw.Flush()
		c.Close()
	})
	r := start(t, instances(e.url), nil)
	for range 3 {
		resp, body := r.do(padded(2 << 20))
		if resp.StatusCode != 413 || body != `{"no":"!"` {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	}
	if s := r.sched.Instances()[0].State(); s != scheduler.Healthy && s != scheduler.Starting {
		t.Errorf("the instance is %v", s)
	}
}

// pattern writes n bytes, no two blocks of which are the same.
func pattern(w io.Writer, n int) error {
	var block [64 << 10]byte
	for i := range block {
		block[i] = byte(i * i >> 3)
	}
	for at := 0; at < n; {
		binary.LittleEndian.PutUint64(block[:], uint64(at))
		k, err := w.Write(block[:min(len(block), n-at)])
		if err != nil {
			return err
		}
		at += k
	}
	return nil
}

func TestLargeAnswersArriveWhole(t *testing.T) {
	const size = 24<<20 + 12345
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/chat/completions") {
			w.Header().Set("Content-Length", itoa(size))
		}
		pattern(w, size)
	})
	want := sha256.New()
	pattern(want, size)
	r := start(t, instances(e.url), nil)
	p := r.dial()
	for _, path := range []string{"/v1/chat/completions", "/v1/completions"} { // sized, chunked
		p.request("POST", path, ask)
		resp, got := p.response(), sha256.New()
		n, err := io.Copy(got, resp.Body)
		if err != nil || n != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
			t.Fatalf("%s: %d bytes, %v; want %d as they were sent", path, n, err, size)
		}
	}
	p.alive()
}

// A client that takes nothing makes the engine wait; when it takes again, it
// gets everything.
func TestSlowClientHoldsTheEngineBackAndLosesNothing(t *testing.T) {
	const size = 48 << 20
	var sent atomic.Int64
	stuck := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw := hijack(w)
		defer c.Close()
		fmt.Fprintf(rw, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n", size)
		rw.Flush()
		held := &holding{Conn: c, sent: &sent, stuck: stuck}
		pattern(held, size)
	})
	r := start(t, instances(e.url), nil)
	p := r.dial()
	p.post(askStream)
	resp := p.response()
	r.wait(stuck, "the engine to be held back")
	t.Logf("the engine could send %.1f MiB that nobody took", float64(sent.Load())/(1<<20))
	if n := sent.Load(); n > size/2 {
		t.Errorf("%d MiB were taken from the engine, nothing from us", n>>20)
	}
	got, want := sha256.New(), sha256.New()
	pattern(want, size)
	n, err := io.Copy(got, resp.Body)
	if err != nil || n != size || string(got.Sum(nil)) != string(want.Sum(nil)) {
		t.Fatalf("%d bytes, %v; want %d as they were sent", n, err, size)
	}
}

// holding is an engine's side that notices when nothing of it moves any more.
type holding struct {
	net.Conn
	sent  *atomic.Int64
	stuck chan struct{}
	once  bool
}

func (h *holding) Write(p []byte) (int, error) {
	total := 0
	for total < len(p) {
		limit := 300 * time.Millisecond
		if h.once {
			limit = patience
		}
		h.SetWriteDeadline(time.Now().Add(limit))
		n, err := h.Conn.Write(p[total:])
		total += n
		h.sent.Add(int64(n))
		switch {
		case err == nil:
		case isTimeout(err) && !h.once:
			h.once = true
			close(h.stuck)
		default:
			return total, err
		}
	}
	return total, nil
}

// The head and what frames the first chunk may fill a buffer to the last byte.
func TestHeadOfAnyLength(t *testing.T) {
	head := func(n int) string {
		const begin, end = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Pad: ", "\r\n\r\n"
		return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
	}
	f := func(n int) {
		t.Helper()
		e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			c, rw := hijack(w)
			defer c.Close()
			rw.WriteString(head(n) + "0000003;x=y\r\nabc\r\n0\r\n\r\n")
			rw.Flush()
		})
		r := start(t, instances(e.url), nil)
		if resp, body := r.do(ask); resp.StatusCode != 200 || body != "abc" {
			t.Errorf("a head of %d bytes: %d %q", n, resp.StatusCode, body)
		}
	}
	for n := minBuffer - 14; n <= minBuffer+1; n++ {
		f(n)
	}
	f(2 * minBuffer)
	f(2*minBuffer - 5)
}

func TestEnginesHugeErrorHeadIsNoReasonToFail(t *testing.T) {
	answer := "HTTP/1.1 503 Busy\r\nX-Pad: " + strings.Repeat("x", stashMost) + "\r\nContent-Length: 2\r\n\r\n{}"
	r := start(t, instances(newEngine(t, raw(answer)).url, newEngine(t, ok).url), limits(func(l *Limits) { l.HeaderBytes = 1 << 20 }))
	for range 4 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
}

// An answer that was kept back is read whole, but not for ever.
func TestEngineThatStallsInItsOwn503(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(503)
		w.(http.Flusher).Flush()
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	})
	r := start(t, instances(e.url, newEngine(t, ok).url), limits(func(l *Limits) { l.StallTimeout = 200 * time.Millisecond }))
	for range 2 {
		resp, body := r.do(ask)
		expect(t, resp, body, 200, "")
	}
}
