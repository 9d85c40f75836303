package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestResponse(t *testing.T) {
	var r Response
	n, err := r.Parse([]byte(answerHead + "5\r\n"))
	if n != len(answerHead) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if r.Status != 200 || string(r.Reason) != "OK" || r.Minor != 1 || len(r.Headers) != 5 {
		t.Errorf("got HTTP/1.%d %d %s, %d headers", r.Minor, r.Status, r.Reason, len(r.Headers))
	}
	if !r.Chunked || r.ContentLength != -1 || !r.KeepAlive || !r.EventStream || r.NoBody() {
		t.Errorf("got %+v", r)
	}
	if got := r.Get(XRequestID); string(got) != "0123456789abcdef" {
		t.Errorf("X-Request-Id: %q", got)
	}
}

func TestStatusLine(t *testing.T) {
	f := func(line string, status int, reason string, minor int) {
		t.Helper()
		var r Response
		n, err := r.Parse([]byte(line + "\r\n\r\n"))
		if n != len(line)+4 || err != nil || r.Status != status || string(r.Reason) != reason || r.Minor != minor {
			t.Errorf("%q: got %d, %v: HTTP/1.%d %d %q", line, n, err, r.Minor, r.Status, r.Reason)
		}
	}
	f("HTTP/1.1 200 OK", 200, "OK", 1)
	f("HTTP/1.0 404 Not Found", 404, "Not Found", 0)
	f("HTTP/1.1 200 ", 200, "", 1)
	f("HTTP/1.1 200", 200, "", 1)
	f("HTTP/1.1 599 tab\tand \xe9 ", 599, "tab\tand \xe9 ", 1)
	f("HTTP/1.7 100 Continue", 100, "Continue", 1)
}

func TestResponseRefused(t *testing.T) {
	f := func(head, want string) {
		t.Helper()
		var r Response
		n, err := r.Parse([]byte(head + "\r\n\r\n"))
		refused(t, fmt.Sprintf("%q", head), n, err, 502, "instance_failed", want)
		if r.Status != 0 || len(r.Headers) > 0 {
			t.Errorf("%q: something was kept: %+v", head, r)
		}
	}
	f("", "byte 0 of the head: an answer begins with HTTP/1.1, found a bare CR")
	f("\r\nHTTP/1.1 200 OK", "found a bare CR")
	f("SSH-2.0-OpenSSH", "found 'S'")
	f("HTTP/2.0 200 OK", "byte 5 of the head: an answer begins with HTTP/1.1, found '2'")
	f("HTTP/1. 200 OK", "expected HTTP/1.1 200 OK")
	f("HTTP/1.x 200 OK", "expected HTTP/1.1")
	f("HTTP/1.1", "expected HTTP/1.1 200 OK")
	f("HTTP/1.1 20", "expected HTTP/1.1 200 OK")
	f("HTTP/1.1 2000 OK", "expected HTTP/1.1 200 OK")
	f("HTTP/1.1  200 OK", "expected HTTP/1.1 200 OK")
	f("HTTP/1.1 20x OK", "the status is \"20x\", expected three digits")
	f("HTTP/1.1 +20 OK", "expected three digits")
	f("HTTP/1.1 099 OK", "expected 100 to 599")
	f("HTTP/1.1 600 OK", "expected 100 to 599")
	f("HTTP/1.1 200 O\x00K", "the status line holds byte 0x00")
	f("HTTP/1.1 200 O\rK", "the status line holds a bare CR")
	f("HTTP/1.1 200 OK\r", "the status line holds a bare CR")
	f("HTTP/1.1 200 OK\nA: b", "found a bare LF")

	const ok = "HTTP/1.1 200 OK\r\n"
	f(ok+"A : b", "expected the colon right after")
	f(ok+"A: b\r\n c", "not folded")
	f(ok+"A: b\x00", "holds byte 0x00")
	f(ok+"A: b\rc", "holds a bare CR")
	f(ok+"Content-Length: 5\r\nContent-Length: 5", "stands twice")
	f(ok+"Content-Length: 5, 5", "expected one decimal number")
	f(ok+"Content-Length: 5\r\nTransfer-Encoding: chunked", "both Content-Length and Transfer-Encoding")
	f(ok+"Transfer-Encoding: gzip, chunked", "expected chunked and nothing else")
	f("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked", "Transfer-Encoding in HTTP/1.0")
	f(ok+strings.Repeat("a:b\r\n", maxHeaders)+"a:b", "more than 128 headers")
	f("HTTP/1.1 204 No Content\r\nContent-Length: 5", "an answer with status 204 has no body")
	f("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked", "an answer with status 204 has no body")
	f("HTTP/1.1 100 Continue\r\nContent-Length: 5", "an answer with status 100 has no body")
}

func TestWhatIsNoHTTPIsRefusedAtOnce(t *testing.T) {
	var r Response
	n, err := r.Parse([]byte("{"))
	refused(t, "an answer", n, err, 502, "instance_failed", "found '{'")
	var q Request
	n, err = q.Parse([]byte("\x16"))
	refused(t, "a request", n, err, 400, "invalid_request", "looks like TLS")
}

func TestNoBody(t *testing.T) {
	f := func(head string, want bool, length int64) {
		t.Helper()
		var r Response
		n, err := r.Parse([]byte(head + "\r\n\r\n"))
		if n == 0 || err != nil || r.NoBody() != want || r.ContentLength != length {
			t.Errorf("%q: got %v, length %d (%v)", head, r.NoBody(), r.ContentLength, err)
		}
	}
	f("HTTP/1.1 100 Continue", true, -1)
	f("HTTP/1.1 103 Early Hints\r\nLink: </a>", true, -1)
	f("HTTP/1.1 204 No Content", true, -1)
	f("HTTP/1.1 204 No Content\r\nContent-Length: 0", true, 0)
	f("HTTP/1.1 304 Not Modified\r\nContent-Length: 5", true, 5)
	f("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked", true, -1)
	f("HTTP/1.1 200 OK", false, -1)
	f("HTTP/1.1 200 OK\r\nContent-Length: 0", false, 0)
	f("HTTP/1.1 205 Reset Content", false, -1)
}

func TestEventStream(t *testing.T) {
	f := func(lines string, want bool) {
		t.Helper()
		var r Response
		if n, err := r.Parse([]byte("HTTP/1.1 200 OK\r\n" + lines + "\r\n")); n == 0 || r.EventStream != want {
			t.Errorf("%q: got %v (%v)", lines, r.EventStream, err)
		}
	}
	f("Content-Type: text/event-stream\r\n", true)
	f("content-type: TEXT/Event-Stream ; charset=utf-8\r\n", true)
	f("Content-Type: text/event-stream;charset=utf-8\r\nContent-Encoding: identity\r\n", true)
	f("", false)
	f("Content-Type:\r\n", false)
	f("Content-Type: application/json\r\n", false)
	f("Content-Type: text/event-streams\r\n", false)
	f("Content-Type: a; b=text/event-stream\r\n", false)
	f("Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n", false)
}

func TestResponseComesInPieces(t *testing.T) {
	var r Response
	n, err := inPieces([]byte(answerHead+"5\r\n"), nil, r.Parse)
	if n != len(answerHead) || err != nil || !r.EventStream || string(r.Reason) != "OK" {
		t.Fatalf("got %d, %v, %+v", n, err, r)
	}
}

func TestParseResponseAllocatesNothing(t *testing.T) {
	var r Response
	whole := []byte(answerHead)
	f := func() {
		if n, err := r.Parse(whole[:50]); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := r.Parse(whole); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		r.Reset()
	}
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
