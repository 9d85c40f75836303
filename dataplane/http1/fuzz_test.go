package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"testing"
)

// fuzzMost bounds what is cut into pieces: each is copied with all before it.
const fuzzMost = 4 << 10

// FuzzRequest compares with net/http: what both take, both must understand in
// the same way. And however a head is cut, the result is the same.
func FuzzRequest(f *testing.F) {
	for _, head := range []string{
		clientHead,
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\r\nGET /a?b=c HTTP/1.0\r\n\r\nGET /",
		"POST http://u/a?b HTTP/1.1\r\nHOST:x\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close, a\r\nA: \t b \t c\r\nA: d\r\nPragma: no-cache\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
		"PUT / HTTP/1.1\r\nHost : x\r\nA: b\r\n c\r\nExpect: 100-continue\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\r\rA: b\r\n\r\n",
	} {
		f.Add([]byte(head), []byte{1})
		f.Add([]byte(head), []byte{7, 1, 30})
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		if len(b) > fuzzMost {
			return
		}
		var r, cut Request
		n, err := r.Parse(b)
		nCut, errCut := inPieces(b, sizes, cut.Parse)
		if n != nCut || fmt.Sprint(err) != fmt.Sprint(errCut) || describe(&r) != describe(&cut) {
			t.Fatalf("whole:     %d, %v, %s\nin pieces: %d, %v, %s", n, err, describe(&r), nCut, errCut, describe(&cut))
		}
		if n == 0 {
			return
		}
		if head := b[:n]; !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
			t.Fatalf("a head ends with %q", head)
		}
		twin, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		compareRequest(t, &r, twin)
	})
}

// describe is all that a request says.
func describe(r *Request) string {
	s := fmt.Sprintf("%q %q %q %d %d %v %v %v", r.Method, r.Path, r.Query, r.Minor, r.ContentLength, r.Chunked, r.KeepAlive, r.ExpectContinue)
	for i := range r.Headers {
		h := &r.Headers[i]
		s += fmt.Sprintf("\n%q: %q %d %v", h.Name, h.Value, h.Kind, h.HopByHop())
	}
	return s
}

func compareRequest(t *testing.T, r *Request, twin *http.Request) {
	t.Helper()
	if string(r.Method) != twin.Method || r.Minor != min(twin.ProtoMinor, 1) || twin.ProtoMajor != 1 {
		t.Fatalf("got %s, HTTP/1.%d; net/http %s, %s", r.Method, r.Minor, twin.Method, twin.Proto)
	}
	target := string(r.Path)
	if len(r.Query) > 0 || strings.HasSuffix(twin.RequestURI, "?") {
		target += "?" + string(r.Query)
	}
	want := twin.RequestURI
	if twin.URL.Scheme != "" { // absolute
		want = want[len(twin.URL.Scheme)+len("://"):]
		want = want[strings.IndexAny(want+"/", "/?"):]
		if want == "" || want[0] == '?' {
			want = "/" + want
		}
	}
	if target != want {
		t.Fatalf("target: got %q, net/http %q", target, want)
	}
	chunked := len(twin.TransferEncoding) == 1 && twin.TransferEncoding[0] == "chunked"
	if length := max(r.ContentLength, 0); r.Chunked != chunked || !chunked && length != twin.ContentLength {
		t.Fatalf("framing: got length %d, chunked %v; net/http %d, %v", r.ContentLength, r.Chunked, twin.ContentLength, chunked)
	}
	if len(r.Get(Connection)) > 0 && r.KeepAlive == twin.Close || len(r.Get(Connection)) == 0 && r.KeepAlive != (r.Minor == 1) {
		t.Fatalf("got keep-alive %v, net/http close %v", r.KeepAlive, twin.Close)
	}
	if twin.URL.Scheme == "" && string(r.Get(Host)) != twin.Host {
		t.Fatalf("Host: got %q, net/http %q", r.Get(Host), twin.Host)
	}
	ours := make(http.Header)
	for _, h := range r.Headers {
		switch h.Kind {
		case Host, TransferEncoding, Trailer: // net/http takes these out
			delete(twin.Header, "Trailer") // but not if it is empty
			continue
		}
		name := textproto.CanonicalMIMEHeaderKey(string(h.Name))
		ours[name] = append(ours[name], string(h.Value))
	}
	if p := ours["Pragma"]; len(p) > 0 && p[0] == "no-cache" && ours["Cache-Control"] == nil {
		delete(twin.Header, "Cache-Control") // net/http adds it
	}
	if got, want := fmt.Sprintf("%q", ours), fmt.Sprintf("%q", twin.Header); got != want {
		t.Fatalf("headers: got %s\nnet/http %s", got, want)
	}
}

// FuzzResponse compares with net/http, as FuzzRequest does.
func FuzzResponse(f *testing.F) {
	for _, head := range []string{
		answerHead,
		"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 \r\n\r\n",
		"HTTP/1.1 304 x\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\nA: b\r\n\r\n",
	} {
		f.Add([]byte(head), []byte{1})
		f.Add([]byte(head), []byte{7, 1, 30})
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		if len(b) > fuzzMost {
			return
		}
		var r, cut Response
		n, err := r.Parse(b)
		nCut, errCut := inPieces(b, sizes, cut.Parse)
		if n != nCut || fmt.Sprint(err) != fmt.Sprint(errCut) || r.Status != cut.Status || r.ContentLength != cut.ContentLength ||
			r.Chunked != cut.Chunked || r.EventStream != cut.EventStream || len(r.Headers) != len(cut.Headers) {
			t.Fatalf("whole:     %d, %v, %+v\nin pieces: %d, %v, %+v", n, err, r, nCut, errCut, cut)
		}
		if n == 0 {
			return
		}
		twin, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(b)), nil)
		if err != nil {
			return
		}
		if r.Status != twin.StatusCode || r.Minor != min(twin.ProtoMinor, 1) {
			t.Fatalf("got HTTP/1.%d %d, net/http %s %d", r.Minor, r.Status, twin.Proto, twin.StatusCode)
		}
		chunked := len(twin.TransferEncoding) == 1
		if !r.NoBody() && (r.Chunked != chunked || r.ContentLength != twin.ContentLength) {
			t.Fatalf("framing: got length %d, chunked %v; net/http %d, %v", r.ContentLength, r.Chunked, twin.ContentLength, chunked)
		}
	})
}

// FuzzChunks compares with net/http: a body that is whole here must be the same
// there. And however it is cut, the result is the same.
func FuzzChunks(f *testing.F) {
	for _, body := range []string{
		"5\r\nhello\r\n00a;ext=1\r\n hello\n\nda\r\n0\r\n\r\nrest",
		"1\r\nx\r\n0;a\r\nA: b\r\n\r\n",
		"0000000000000001\r\nx\r\n0\r\n\r\n",
		"7fffffffffffffff\r\nx",
		"5 \r\nhello\r\n0\r\n\r\n",
		"5\nhello\n0\n\n",
	} {
		f.Add([]byte(body), []byte{1})
		f.Add([]byte(body), []byte{3, 1, 9})
	}
	f.Fuzz(func(t *testing.T, b, sizes []byte) {
		if len(b) > fuzzMost {
			return // longer, and net/http has bounds of its own
		}
		var c, cut Chunks
		data, n, err := chunked(&c, b, []byte{255})
		dataCut, nCut, errCut := chunked(&cut, b, sizes)
		if !bytes.Equal(data, dataCut) || n != nCut || fmt.Sprint(err) != fmt.Sprint(errCut) || c != cut {
			t.Fatalf("whole:     %q, %d, %v, %+v\nin pieces: %q, %d, %v, %+v", data, n, err, c, dataCut, nCut, errCut, cut)
		}
		twin, errTwin := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(b)))
		if errTwin == io.ErrUnexpectedEOF && !bytes.Equal(data, twin) && err == nil {
			t.Fatalf("got %q, net/http %q until both had no more", data, twin)
		}
		if c.Done() && (errTwin != nil || !bytes.Equal(data, twin)) {
			t.Fatalf("got %q, net/http %q, %v", data, twin, errTwin)
		}
	})
}
