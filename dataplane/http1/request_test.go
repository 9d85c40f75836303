package http1

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestRequest(t *testing.T) {
	var r Request
	n, err := r.Parse([]byte(clientHead + "{body"))
	if n != len(clientHead) || err != nil {
		t.Fatalf("got %d, %v; want %d", n, err, len(clientHead))
	}
	if !r.Is("POST") || r.Is("post") || string(r.Path) != "/v1/chat/completions" || r.Query != nil || r.Minor != 1 {
		t.Errorf("got %s %s?%s, minor version %d", r.Method, r.Path, r.Query, r.Minor)
	}
	if r.ContentLength != 1234 || r.Chunked || !r.KeepAlive || r.ExpectContinue {
		t.Errorf("length %d, chunked %v, keep-alive %v, expects %v", r.ContentLength, r.Chunked, r.KeepAlive, r.ExpectContinue)
	}
	if len(r.Headers) != 12 {
		t.Errorf("%d headers", len(r.Headers))
	}
	for k, want := range map[Kind]string{
		Host: "127.0.0.1:8080", ContentType: "application/json", ContentLength: "1234",
		Authorization: "Bearer sk-0123456789abcdef0123456789abcdef",
	} {
		if got := r.Get(k); string(got) != want {
			t.Errorf("%s: got %q, want %q", kindNames[k], got, want)
		}
	}
	if got := r.Get(XSessionID); got != nil {
		t.Errorf("a header that is not there: %q", got)
	}
}

func TestRequestLine(t *testing.T) {
	f := func(line, method, path, query string, minor int) {
		t.Helper()
		var r Request
		head := line + "\r\nHost: x\r\n\r\n"
		n, err := r.Parse([]byte(head))
		if n != len(head) || err != nil {
			t.Errorf("%q: got %d, %v", line, n, err)
			return
		}
		if string(r.Method) != method || string(r.Path) != path || string(r.Query) != query || r.Minor != minor {
			t.Errorf("%q: got %s %s ? %s, minor version %d", line, r.Method, r.Path, r.Query, r.Minor)
		}
	}
	f("GET / HTTP/1.1", "GET", "/", "", 1)
	f("GET /a?b=c?d HTTP/1.1", "GET", "/a", "b=c?d", 1)
	f("GET /a? HTTP/1.1", "GET", "/a", "", 1)
	f("GET /? HTTP/1.0", "GET", "/", "", 0)
	f("GET //a/../%2e%zz HTTP/1.1", "GET", "//a/../%2e%zz", "", 1)
	f("get /{a}|b HTTP/1.1", "get", "/{a}|b", "", 1)
	f("M-SEARCH / HTTP/1.1", "M-SEARCH", "/", "", 1)
	f("GET / HTTP/1.2", "GET", "/", "", 1)
	f("GET / HTTP/1.9", "GET", "/", "", 1)
	f("OPTIONS * HTTP/1.1", "OPTIONS", "*", "", 1)

	// Absolute targets.
	f("GET http://x/a HTTP/1.1", "GET", "/a", "", 1)
	f("GET HTTPS://x:80/a/b?c HTTP/1.1", "GET", "/a/b", "c", 1)
	f("GET http://x HTTP/1.1", "GET", "/", "", 1)
	f("GET http://[::1]:80?a=/b HTTP/1.1", "GET", "/", "a=/b", 1)

	// One empty line before it.
	f("\r\nGET /a HTTP/1.1", "GET", "/a", "", 1)
}

func TestRequestLineRefused(t *testing.T) {
	f := func(line string, status int, want string) {
		t.Helper()
		var r Request
		n, err := r.Parse([]byte(line + "\r\nHost: x\r\n\r\n"))
		refused(t, fmt.Sprintf("%q", line), n, err, status, "invalid_request", want)
		if r.Method != nil || len(r.Headers) > 0 || r.ContentLength != -1 {
			t.Errorf("%q: something was kept: %+v", line, r)
		}
	}
	// Method.
	f(" GET / HTTP/1.1", 400, "byte 0 of the head: a request begins with its method, found a space")
	f("\tGET / HTTP/1.1", 400, "found a tab")
	f("(GET / HTTP/1.1", 400, "found '('")
	f("\x00GET / HTTP/1.1", 400, "found byte 0x00")
	f("\x16\x03\x01\x02", 400, "looks like TLS")
	f("G@T / HTTP/1.1", 400, "no method")
	f("GET\t/ HTTP/1.1", 400, "no method")
	f("GET\x00 / HTTP/1.1", 400, "no method")
	f("GÈT / HTTP/1.1", 400, "no method")
	f(strings.Repeat("A", maxMethod+1)+" / HTTP/1.1", 400, "no method")
	f("GET", 400, "no method")

	// Empty lines and line ends.
	f("\r\n\r\nGET / HTTP/1.1", 400, "byte 2 of the head: more than one empty line")
	f("\nGET / HTTP/1.1", 400, "found a bare LF")
	f("\rGET / HTTP/1.1", 400, "byte 0 of the head: found a bare CR")
	f("\r\rGET / HTTP/1.1", 400, "found a bare CR")
	f("\r\n\nGET / HTTP/1.1", 400, "found a bare LF")
	f("GET / HTTP/1.1\nA: b", 400, "byte 14 of the head: found a bare LF")
	f("GET / HTTP/1.1\r", 400, "byte 14 of the head: the request line holds a bare CR")
	f("GET / HTTP/1.1\rA: b", 400, "the request line holds a bare CR")

	// Version.
	f("GET /", 400, "expected METHOD TARGET HTTP/1.1")
	f("GET ", 400, "expected METHOD TARGET HTTP/1.1")
	f("GET / ", 400, "expected HTTP/1.1, found \"\"")
	f("GET / HTTP/1.1 ", 400, "expected HTTP/1.1")
	f("GET / http/1.1", 400, "expected HTTP/1.1")
	f("GET / HTTP/1", 505, "not spoken here")
	f("GET / HTTP/1.", 400, "expected HTTP/1.1")
	f("GET / HTTP/1.1.1", 400, "expected HTTP/1.1")
	f("GET / HTTP/1.10", 400, "expected HTTP/1.1")
	f("GET / HTTP/01.1", 400, "expected HTTP/1.1")
	f("GET / HTTP/1,1", 400, "expected HTTP/1.1")
	f("GET / HTTP/a.1", 400, "expected HTTP/1.1")
	f("GET / HTTPS/1.1", 400, "expected HTTP/1.1")
	f("GET / HTTP/0.9", 505, "not spoken here")
	f("GET / HTTP/2.0", 505, "byte 6 of the head: \"HTTP/2.0\" is not spoken here, HTTP/1.1 is")
	f("GET / HTTP/2", 505, "not spoken here")
	f("GET / HTTP/3", 505, "not spoken here")
	f("PRI * HTTP/2.0", 505, "not spoken here") // HTTP/2 with prior knowledge

	// Target.
	f("GET  / HTTP/1.1", 400, "byte 4 of the head: the target holds a space")
	f("GET /  HTTP/1.1", 400, "the target holds a space")
	f("GET /a b HTTP/1.1", 400, "the target holds a space")
	f("GET /a\tb HTTP/1.1", 400, "the target holds a tab")
	f("GET /a\x00 HTTP/1.1", 400, "the target holds byte 0x00")
	f("GET /a\x7f HTTP/1.1", 400, "the target holds byte 0x7f")
	f("GET /ä HTTP/1.1", 400, "byte 5 of the head: the target holds byte 0xc3")
	f("GET /a#b HTTP/1.1", 400, "the target holds '#'")
	f("GET a HTTP/1.1", 400, "expected /path or http://host/path")
	f("GET ?a HTTP/1.1", 400, "expected /path")
	f("GET * HTTP/1.1", 400, "expected /path")
	f("CONNECT x:80 HTTP/1.1", 400, "expected /path")
	f("GET ftp://x/ HTTP/1.1", 400, "expected /path")
	f("GET http:/x HTTP/1.1", 400, "expected /path")
	f("GET http:///a HTTP/1.1", 400, "expected /path")
	f("GET http:// HTTP/1.1", 400, "expected /path")
	f("GET http://u:p@x/ HTTP/1.1", 400, "expected /path")
	f("GET http://x,y/ HTTP/1.1", 400, "expected /path")
}

func TestRequestHeadersRefused(t *testing.T) {
	f := func(lines string, want string) {
		t.Helper()
		var r Request
		n, err := r.Parse([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n\r\n"))
		refused(t, fmt.Sprintf("%q", lines), n, err, 400, "invalid_request", want)
	}
	// Names.
	f("A : b", "byte 26 of the head: found a space after \"A\", expected the colon right after")
	f("A\t: b", "found a tab after \"A\"")
	f("A B: c", "found a space after \"A\"")
	f("A", "the header \"A\" has no colon")
	f(": b", "a header's name begins with ':'")
	f("(a): b", "a header's name begins with '('")
	f("a@b: c", "that begins with \"a\" holds '@'")
	f("a\x00b: c", "holds byte 0x00")
	f("ä: b", "byte 0xc3")
	f("A: b\r\n\x00: c", "byte 0x00")

	// Folded.
	f("A: b\r\n c", "byte 31 of the head: a line begins with a space; a header is one line, not folded")
	f("A: b\r\n\tc: d", "a line begins with a tab")
	f(" A: b", "a line begins with a space")

	// Line ends.
	f("A: b\nC: d", "byte 29 of the head: found a bare LF")
	f("A: b\n", "found a bare LF")
	f("A: b\rC: d", "the header \"A\" holds a bare CR")
	f("A: b\r", "the header \"A\" holds a bare CR")
	f("A: \r\r", "the header \"A\" holds a bare CR")
	f("A\rB: d", "holds a bare CR")
	f("\rA: b", "a header's name begins with a bare CR")

	// Control characters, wherever eight bytes begin.
	for i := range 20 {
		pad := strings.Repeat("\tx", i)[:i]
		f("A: "+pad+"\x00"+pad, "the header \"A\" holds byte 0x00")
		f("A: "+pad+"\x1f"+pad, "holds byte 0x1f")
		f("A: "+pad+"\x7f"+pad, "holds byte 0x7f")
		f("A: "+pad+"\v", "holds byte 0x0b")
	}

	// Host.
	f("Host: x", "the header \"Host\" stands twice")
	f("HOST: x", "the header \"HOST\" stands twice")

	// Framing.
	f("Content-Length: 5\r\nContent-Length: 6", "the header \"Content-Length\" stands twice")
	f("Content-Length: 5\r\nContent-Length: 5", "the header \"Content-Length\" stands twice")
	f("Content-Length: 5\r\ncontent-length: 5", "the header \"content-length\" stands twice")
	f("Content-Length: 5\r\nTransfer-Encoding: chunked", "both Content-Length and Transfer-Encoding")
	f("Transfer-Encoding: chunked\r\nContent-Length: 0", "both Content-Length and Transfer-Encoding")
	f("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "\"Transfer-Encoding\" stands twice")
	for _, v := range []string{"5, 5", "5,", ",5", "5 5", "+5", "-5", "-0", "0x5", "5.0", "5e0", "", "a", "9223372036854775808",
		"18446744073709551616", "99999999999999999999999999", "٥"} {
		f("Content-Length: "+v, "expected one decimal number")
	}
	for _, v := range []string{"", "gzip", "identity", "gzip, chunked", "chunked, gzip", "chunked, chunked", "chunked,", ",chunked",
		"chunked;a=b", "xchunked", "chunke", "\"chunked\""} {
		f("Transfer-Encoding: "+v, "expected chunked and nothing else")
	}

	f("Connection: "+strings.Repeat("a,", maxOptions+1), "Connection names more than 16 headers")
}

func TestRequestRefusedForWhatItLacksOrAsks(t *testing.T) {
	f := func(head string, status int, code, want string) {
		t.Helper()
		var r Request
		n, err := r.Parse([]byte(head))
		refused(t, fmt.Sprintf("%.60q", head), n, err, status, code, want)
	}
	f("GET / HTTP/1.1\r\n\r\n", 400, "invalid_request", "no Host")
	f("GET http://x/ HTTP/1.1\r\n\r\n", 400, "invalid_request", "no Host")
	f("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid_request", "expected one host")
	f("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400, "invalid_request", "expected one host")
	f("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", 400, "invalid_request", "expected one host")
	f("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, "invalid_request", "expected one host")
	f("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "invalid_request", "Transfer-Encoding in HTTP/1.0")
	f("POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", 417, "invalid_request", "only 100-continue")
	f("POST / HTTP/1.1\r\nHost: x\r\nExpect:\r\n\r\n", 417, "invalid_request", "only 100-continue")

	line := "GET / HTTP/1.0\r\n"
	f(line+strings.Repeat("a:b\r\n", maxHeaders+1)+"\r\n", 431, "headers_too_large", "more than 128 headers")
	var r Request
	if n, err := r.Parse([]byte(line + strings.Repeat("a:b\r\n", maxHeaders) + "\r\n")); n == 0 || len(r.Headers) != maxHeaders {
		t.Errorf("%d headers: got %d, %v", maxHeaders, n, err)
	}
	r.Reset()
	if cap(r.Headers) > keptHeaders {
		t.Errorf("room for %d headers is kept", cap(r.Headers))
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	var r Request
	_, err := r.Parse([]byte("GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\x01\r\n\r\n"))
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Fatalf("got %v", err)
	}
}

func TestRequestFraming(t *testing.T) {
	f := func(lines string, length int64, chunked, expects bool) {
		t.Helper()
		var r Request
		if n, err := r.Parse([]byte("POST / HTTP/1.1\r\nhOST:x\r\n" + lines + "\r\n")); n == 0 || err != nil {
			t.Errorf("%q: got %d, %v", lines, n, err)
		} else if r.ContentLength != length || r.Chunked != chunked || r.ExpectContinue != expects {
			t.Errorf("%q: got %d, chunked %v, expects %v", lines, r.ContentLength, r.Chunked, r.ExpectContinue)
		}
	}
	f("", -1, false, false)
	f("Content-Length: 0\r\n", 0, false, false)
	f("content-length:5\r\n", 5, false, false)
	f("CONTENT-LENGTH: \t 0005 \t\r\n", 5, false, false)
	f("Content-Length: 9223372036854775799\r\n", math.MaxInt64-8, false, false)
	f("Content-Lengthy: 7\r\nContent-Lengt: 7\r\nContent_Length: 7\r\n", -1, false, false)
	f("Transfer-Encoding: chunked\r\n", -1, true, false)
	f("transfer-encoding:\tCHUNKED \r\n", -1, true, false)
	f("Content-Length: 5\r\nExpect: 100-Continue\r\n", 5, false, true)
}

func TestKeepAlive(t *testing.T) {
	f := func(minor int, lines string, want bool) {
		t.Helper()
		var r Request
		n, err := r.Parse(fmt.Appendf(nil, "GET / HTTP/1.%d\r\nHost: x\r\n%s\r\n", minor, lines))
		if n == 0 || err != nil || r.KeepAlive != want {
			t.Errorf("HTTP/1.%d, %q: got %v (%d, %v)", minor, lines, r.KeepAlive, n, err)
		}
		var a Response
		n, err = a.Parse(fmt.Appendf(nil, "HTTP/1.%d 200 OK\r\n%s\r\n", minor, lines))
		if n == 0 || err != nil || a.KeepAlive != want {
			t.Errorf("answer of HTTP/1.%d, %q: got %v (%d, %v)", minor, lines, a.KeepAlive, n, err)
		}
	}
	f(1, "", true)
	f(1, "Connection: close\r\n", false)
	f(1, "connection:CLOSE\r\n", false)
	f(1, "Connection: keep-alive\r\n", true)
	f(1, "Connection: keep-alive, close\r\n", false)
	f(1, "Connection: close, keep-alive\r\n", false)
	f(1, "Connection: te ,\t, close\r\nTE: trailers\r\n", false)
	f(1, "Connection: te\r\nConnection: close\r\n", false)
	f(1, "Connection: closed\r\n", true)
	f(1, "Connection:\r\n", true)
	f(1, "Proxy-Connection: close\r\n", true)
	f(0, "", false)
	f(0, "Connection: Keep-Alive\r\n", true)
	f(0, "Connection: keep-alive\r\nConnection: close\r\n", false)
	f(0, "Keep-Alive: 5\r\n", false)
}

func TestRequestComesInPieces(t *testing.T) {
	var r Request
	b := []byte("\r\n" + clientHead + "body")
	n, err := inPieces(b, nil, r.Parse)
	if n != 2+len(clientHead) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if !r.Is("POST") || string(r.Get(ContentLength)) != "1234" || len(r.Headers) != 12 {
		t.Errorf("got %s with %d headers, length %q", r.Method, len(r.Headers), r.Get(ContentLength))
	}
}

func TestRequestMeansNothingBeforeItIsWhole(t *testing.T) {
	var r Request
	for i := range len(clientHead) {
		if n, err := r.Parse([]byte(clientHead[:i])); n != 0 || err != nil {
			t.Fatalf("%d bytes: got %d, %v", i, n, err)
		}
		if r.Method != nil || r.Path != nil || len(r.Headers) > 0 {
			t.Fatalf("%d bytes: got %+v", i, r)
		}
	}
}

// Bytes that were seen are not looked at again until the head is whole: what
// is made of them meanwhile changes nothing, so that a head of n bytes that
// come one by one costs n and not n².
func TestPiecesAreLookedAtOnce(t *testing.T) {
	var r Request
	for i := 1; i < len(clientHead)-1; i++ {
		b := []byte(clientHead[:i])
		copy(b[1:max(1, i-2)], bytes.Repeat([]byte("\n"), i)) // the last two may be one line end
		if n, err := r.Parse(b); n != 0 || err != nil {
			t.Fatalf("%d bytes: got %d, %v", i, n, err)
		}
	}
	if n, err := r.Parse([]byte(clientHead)); n != len(clientHead) || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
}

func TestRequestIsUsedAgain(t *testing.T) {
	var r Request
	first := "POST /a?b HTTP/1.0\r\nContent-Length: 5\r\nConnection: x\r\nX: y\r\n\r\n"
	if n, err := r.Parse([]byte(first)); n == 0 {
		t.Fatal(err)
	}
	r.Reset()
	if r.Method != nil || r.Path != nil || len(r.Headers) != 0 || r.Get(ContentLength) != nil {
		t.Errorf("after Reset: %+v", r)
	}
	if n, err := r.Parse([]byte("GET /a/long/in")); n != 0 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	r.Reset() // the client went, another came
	second := "PUT / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n"
	n, err := r.Parse([]byte(second))
	if n != len(second) || err != nil || r.Query != nil || r.ContentLength != -1 || len(r.Headers) != 2 || r.Headers[1].HopByHop() {
		t.Errorf("got %d, %v, %+v", n, err, r)
	}
}

func TestParseRequestAllocatesNothing(t *testing.T) {
	var r Request
	whole, part := []byte(clientHead), []byte(clientHead[:200])
	hops := []byte("GET http://x HTTP/1.1\r\nhost: x\r\nconnection: a, b, x-long-name-of-mine\r\nx-long-name-of-mine: 1\r\nexpect: 100-continue\r\n\r\n")
	f := func() {
		if n, err := r.Parse(part); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := r.Parse(whole); n == 0 || err != nil {
			t.Fatal(n, err)
		}
		r.Reset()
		if n, err := r.Parse(hops); n == 0 || err != nil || r.Get(Host) == nil {
			t.Fatal(n, err)
		}
		r.Reset()
	}
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
