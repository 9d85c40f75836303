package dataplane

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"penstock/scheduler"
)

func itoa(n int) string { return strconv.Itoa(n) }

// echoing is an engine that answers with the request's body and says how it was
// framed.
func echoing(t *testing.T) *engine {
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(500)
		}
		w.Header().Set("X-Framed", fmt.Sprint(r.ContentLength, r.TransferEncoding, len(r.Trailer)))
		w.Write(b)
	})
}

// chunked frames s in chunks of n bytes.
func chunked(s string, n int) string {
	var b strings.Builder
	for len(s) > 0 {
		k := min(n, len(s))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", k, s[:k])
		s = s[k:]
	}
	return b.String() + "0\r\n\r\n"
}

// sized is a request with a good body of n bytes.
func sized(n int) string {
	return fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", n, padded(n))
}

func padded(n int) string { return ask + strings.Repeat(" ", n-len(ask)) }

const chunkedHead = "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

func TestChunkedBodyReachesTheEngineWithItsLength(t *testing.T) {
	r := start(t, instances(echoing(t).url), nil)
	p := r.dial()
	f := func(want string, pieces ...string) {
		t.Helper()
		for _, piece := range pieces {
			p.send("%s", piece)
		}
		resp, body := p.whole()
		if resp.StatusCode != 200 || body != want || resp.Header.Get("X-Framed") != fmt.Sprint(len(want), []string{}, 0) {
			t.Fatalf("%q: got %d %q, framed as %s", pieces, resp.StatusCode, body, resp.Header.Get("X-Framed"))
		}
	}
	whole := chunkedHead + chunked(ask, 7)
	for i := range whole {
		f(ask, whole[:i], whole[i:])
	}
	f(ask, strings.Split(whole, "")...)
	f(ask, chunkedHead, "02c;ext=\"1\"\r\n", ask[:44], "\r\n1\r\n", ask[44:], "\r\n000\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n")
	long := padded(1 << 20)
	f(long, chunkedHead, chunked(long, 1000))
	f(long, chunkedHead, chunked(long, 1<<20))
	p.alive()
}

func TestSizedBodyInPieces(t *testing.T) {
	r := start(t, instances(echoing(t).url), nil)
	p := r.dial()
	for _, n := range []int{len(ask), 4000, 4096, 5000, 100 << 10, 1<<20 + 1} {
		whole := sized(n)
		for _, at := range []int{1, 70, n / 2, n} {
			p.send("%s", whole[:at])
			p.send("%s", whole[at:])
			if resp, body := p.whole(); resp.StatusCode != 200 || body != padded(n) {
				t.Fatalf("%d bytes cut at %d: %d, %d bytes back", n, at, resp.StatusCode, len(body))
			}
		}
	}
}

// bodyBytes bounds one body, and all of them together, by n.
func bodyBytes(n int64) func(*Config, *scheduler.Config) {
	return limits(func(l *Limits) { l.BodyBytes, l.HeldBytes = n, n })
}

func limits(change func(*Limits)) func(*Config, *scheduler.Config) {
	return func(c *Config, _ *scheduler.Config) { change(&c.Limits) }
}

func TestBodyLimit(t *testing.T) {
	e, asked := counting(t)
	const limit = 100_000
	r := start(t, instances(e.url), bodyBytes(limit))
	f := func(request string, status int) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		go io.WriteString(p.Conn, request) // the answer may come before all was sent
		code := ""
		if status == 413 {
			code = "body_too_large"
		}
		resp, body := p.whole()
		expect(t, resp, body, status, code)
	}
	f(sized(limit), 200)
	f(sized(limit+1), 413)
	f(sized(2*limit), 413)
	for _, chunk := range []int{1000, 60_000, 2 * limit} {
		f(chunkedHead+chunked(padded(limit), chunk), 200)
		f(chunkedHead+chunked(padded(limit+1), chunk), 413)
	}
	f("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000000000000\r\n\r\n", 413)
	if n := asked.Load(); n != 4 {
		t.Errorf("the engine was asked %d times, want 4", n)
	}
	r.until("the refusals to be counted", func() bool { return r.metric(`penstock_request_errors_total{reason="too_large"}`) == 6 })
	r.until("nothing to be held", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
}

func TestHeaderLimit(t *testing.T) {
	e, asked := counting(t)
	const limit = 2000
	r := start(t, instances(e.url), limits(func(l *Limits) { l.HeaderBytes = limit }))
	head := func(n int) string { // whole, n bytes
		const begin, end = "POST /generate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nX-Pad: ", "\r\n\r\n"
		return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
	}
	f := func(request string, status int) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.send("%s", request)
		resp, body := p.whole()
		if status == 200 {
			expect(t, resp, body, 200, "")
			return
		}
		expect(t, resp, body, 431, "headers_too_large")
		if !resp.Close {
			t.Error("the connection is said to live on")
		}
		p.closed()
	}
	f(head(limit)+"{}", 200)
	f(head(limit+1)+"{}", 431)
	f(head(2 * limit)[:limit], 431) // it does not wait for more
	f("GET /"+strings.Repeat("x", 3*limit), 431)
	f("GET /ping HTTP/1.1\r\nHost: x\r\n"+strings.Repeat("X: y\r\n", 200)+"\r\n", 431)
	if n := asked.Load(); n != 1 {
		t.Errorf("the engine was asked %d times, want 1", n)
	}
}

func TestAllHeldBytesAreBounded(t *testing.T) {
	e, came, release := gated(t)
	const limit = 100_000
	r := start(t, instances(e.url), bodyBytes(limit))
	first := r.dial()
	first.post(padded(60_000))
	<-came
	f := func(request string, status int, code string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		go io.WriteString(p.Conn, request)
		resp, body := p.whole()
		expect(t, resp, body, status, code)
		if code != "" && resp.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	f(sized(60_000), 429, "queue_full")
	f(chunkedHead+chunked(padded(60_000), 5_000), 429, "queue_full")
	release <- struct{}{}
	first.whole()
	r.until("nothing to be held", func() bool { return r.metric("penstock_gateway_held_bytes") == 0 })
	close(release)
	f(sized(limit), 200, "")
}

func TestFormPassesUntouched(t *testing.T) {
	r := start(t, instances(echoing(t).url), nil)
	r.until("the models to be known", func() bool { return len(r.sched.Models()) == 1 })
	form := func(model string) (body, kind string) {
		var b strings.Builder
		w := multipart.NewWriter(&b)
		w.WriteField("model", model)
		part, _ := w.CreateFormFile("file", "a.wav")
		part.Write([]byte(strings.Repeat("\x00\xff\r\n--", 30_000)))
		w.Close()
		return b.String(), w.FormDataContentType()
	}
	f := func(model string, status int, code string) {
		t.Helper()
		want, kind := form(model)
		p := r.dial()
		p.request("POST", "/v1/audio/transcriptions", want, "Content-Type: "+kind)
		resp, body := p.whole()
		expect(t, resp, body, status, code)
		if status == 200 && body != want {
			t.Errorf("the form came as %d other bytes", len(body))
		}
	}
	f("m", 200, "")
	f("no-such", 404, "model_not_found")
	p := r.dial() // no form at all: the engine is to say so
	p.request("POST", "/v1/audio/transcriptions", "abc")
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
}

func TestFramingIsStrict(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), nil)
	f := func(request string, status int) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.send("%s", request)
		resp, body := p.whole()
		expect(t, resp, body, status, "invalid_request")
		if !resp.Close {
			t.Errorf("%q: the connection is said to live on", request)
		}
		p.closed()
	}
	post := func(headers, body string) string {
		return "POST /v1/completions HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body
	}
	f(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400)
	f(post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), 400)
	f(post("Content-Length: 5, 5\r\n", "hello"), 400)
	f(post("Content-Length: +5\r\n", "hello"), 400)
	f(post("Content-Length : 5\r\n", "hello"), 400)
	f(post("X-A: b\r\n c\r\nContent-Length: 5\r\n", "hello"), 400)
	f(post("Transfer-Encoding: gzip\r\n", ""), 400)
	f(post("Transfer-Encoding: gzip, chunked\r\n", ""), 400)
	f(post("Transfer-Encoding: chunked\r\n", "x\r\n"), 400)
	f(post("Transfer-Encoding: chunked\r\n", "2\r\n{}0\r\n\r\n"), 400)
	f(post("Transfer-Encoding: chunked\r\n", "2\n{}\r\n0\r\n\r\n"), 400)
	f("POST /v1/completions HTTP/1.1\nHost: x\n\n", 400)
	f("POST /v1/completions HTTP/1.1\r\n\r\n", 400)
	f("POST  /v1/completions HTTP/1.1\r\nHost: x\r\n\r\n", 400)
	f("POST /v1/completions HTTP/2.0\r\nHost: x\r\n\r\n", 505)
	f("\x16\x03\x01\x02\x00", 400)
	if n := asked.Load(); n != 0 {
		t.Errorf("the engine was asked %d times", n)
	}
	r.until("the refusals to be counted", func() bool { return r.metric(`penstock_request_errors_total{reason="bad_request"}`) == 16 })
}

func TestInvalidJSONNeverReachesAnEngine(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), nil)
	p := r.dial()
	f := func(json, want, param string) {
		t.Helper()
		p.post(json)
		resp, body := p.whole()
		expect(t, resp, body, 400, "invalid_request")
		if !strings.Contains(body, want) || param != "" && !strings.Contains(body, `"param":"`+param+`"`) {
			t.Errorf("%q: got %s, want %q and the field %q", json, body, want, param)
		}
	}
	f(``, "byte 0", "")
	f(`[]`, "byte 0", "")
	f(`null`, "byte 0", "")
	f(`{"model":"m"`, "byte 12", "")
	f(`{"model":"m"} x`, "byte 14", "")
	f(`{"model":"m","prompt":"a`+"\n"+`"}`, "byte 24", "")
	f(`{"model":"m","prompt":NaN}`, "byte 22", "")
	f(`{"model":"m","model":"m"}`, "model", "")
	f(`{"model":5}`, "byte 9", "model")
	f(`{"stream":"perhaps"}`, "byte 10", "stream")
	f(`{"max_tokens":"5"}`, "byte 14", "max_tokens")
	if n := asked.Load(); n != 0 {
		t.Errorf("the engine was asked %d times", n)
	}
	p.post(`{"model":"m","stream":"true"}`) // BladeLLM's clients
	resp, body := p.whole()
	expect(t, resp, body, 200, "")
}
