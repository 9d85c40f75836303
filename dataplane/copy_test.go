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
)

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
