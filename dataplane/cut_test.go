package dataplane

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// passed is an answer of which so much went to the client, with its meter.
func passed(t *testing.T, a *answer, piece string) *meter {
	t.Helper()
	m := begun(true)
	if len(piece) == 0 {
		return m
	}
	if _, err := a.take([]byte(piece)); err != nil {
		t.Fatalf("%q: %v", piece, err)
	}
	m.see(a)
	return m
}

// lastWord is the event that tells of the end, as cutShort makes it.
func lastWord(m *meter) []byte {
	return append(m.blankLine(), `data: {"error":{"message":"x"}}`+"\n\n"...)
}

// said checks that a client read what had passed and then the error, on lines
// of its own and with nothing but blank lines behind it.
func said(t *testing.T, where, body, before string) {
	t.Helper()
	rest, ok := strings.CutPrefix(body, before)
	if !ok {
		t.Fatalf("%s: %q does not begin with what had passed, %q", where, body, before)
	}
	lines := strings.TrimLeft(strings.ReplaceAll(body, "\r", ""), "\n")
	if at := strings.Index(lines, `data: {"error"`); at > 0 && !strings.HasSuffix(lines[:at], "\n\n") {
		t.Fatalf("%s: no blank line before the error: %q", where, lines)
	}
	if strings.Trim(rest, "\n") != `data: {"error":{"message":"x"}}` || !strings.HasSuffix(rest, "\n\n") {
		t.Fatalf("%s: the last event is %q", where, rest)
	}
}

func TestChunkedStreamCutAtAnyByteEndsWell(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	streams := []string{
		"b\r\ndata: one\n\n\r\n5;a=\"b\"\r\ndata:\r\n8\r\n two\r\n\r\n\r\n4\r\n: x\n\r\n",
		"200\r\n" + strings.Repeat("data: one\n\n", 46) + "data:\n\r\n",
		"1\r\n\n\r\nf\r\ndata: a\n\ndata: \r\n",
		"f000\r\n" + strings.Repeat("data: 12\n\n", 6144) + "\r\n",
	}
	f := func(stream string, n int) {
		t.Helper()
		a := &answer{mode: framedChunked}
		m := passed(t, a, stream[:n])
		var before strings.Builder
		for _, p := range a.parts {
			before.Write(p)
		}
		end, ok := closeBody(nil, a, lastWord(m), 1)
		if !ok {
			t.Fatalf("nothing can follow %q", stream[:n])
		}
		r := bufio.NewReader(io.MultiReader(strings.NewReader(head), strings.NewReader(stream[:n]), bytes.NewReader(end)))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("%q and then %q: %v", stream[:n], end, err)
		}
		if r.Buffered() > 0 {
			t.Fatalf("%d bytes follow the end", r.Buffered())
		}
		said(t, fmt.Sprintf("%.80q, %d bytes", stream, n), string(body), before.String())
	}
	for _, s := range streams {
		step := 1 + len(s)/250
		for n := 0; n <= len(s); n += step {
			f(s, n)
		}
	}
}

// Once the last chunk has begun, or may have, no other can: the body is broken off, so that
// nobody takes it for whole.
func TestChunkedStreamCutInItsEndIsBrokenOff(t *testing.T) {
	for _, end := range []string{"0", "000", "0;x", "0\r", "0\r\n", "0\r\nX", "0\r\nX: y", "0\r\nX: y\r\n", "0\r\n\r"} {
		a := &answer{mode: framedChunked}
		m := passed(t, a, "b\r\ndata: one\n\n\r\n"+end)
		if b, ok := closeBody(nil, a, lastWord(m), 1); ok {
			t.Errorf("after %q: %q", end, b)
		}
	}
}

func TestHugeChunkIsNotFilledUp(t *testing.T) {
	a := &answer{mode: framedChunked}
	m := passed(t, a, "7fffffff\r\ndata: one\n\n")
	if b, ok := closeBody(nil, a, lastWord(m), 1); ok {
		t.Errorf("%d bytes to fill up a chunk of 2 GiB", len(b))
	}
}

func TestSizedStreamCutAtAnyByte(t *testing.T) {
	stream := strings.Repeat("data: one\n\n", 20)
	for n := range len(stream) {
		a := &answer{mode: framedSized, left: int64(len(stream))}
		m := passed(t, a, stream[:n])
		event := lastWord(m)
		end, ok := closeBody(nil, a, event, 1)
		if fits := len(event) <= len(stream)-n; ok != fits {
			t.Fatalf("%d bytes are left for %d: %v", len(stream)-n, len(event), ok)
		}
		if !ok {
			continue
		}
		if n+len(end) != len(stream) {
			t.Fatalf("cut at %d: %d bytes in all, %d were promised", n, n+len(end), len(stream))
		}
		said(t, fmt.Sprintf("cut at %d", n), stream[:n]+string(end), stream[:n])
	}
}

func TestStreamWithoutFramingCutAtAnyByte(t *testing.T) {
	const stream = "data: one\n\ndata: two\r\n\r\n: x\n"
	f := func(a *answer, minor int, framed string, before string) {
		t.Helper()
		m := passed(t, a, framed)
		end, ok := closeBody([]byte(nil), a, lastWord(m), minor)
		if !ok {
			t.Fatalf("nothing can follow %q", framed)
		}
		said(t, framed, before+string(end), before)
	}
	for n := range stream {
		f(&answer{mode: framedClose}, 1, stream[:n], stream[:n])
		f(&answer{mode: framedClose}, 0, stream[:n], stream[:n])
	}
	// HTTP/1.0 got the payload alone
	f(&answer{mode: framedChunked}, 0, "4\r\ndata", "data")
	f(&answer{mode: framedChunked}, 0, "40\r\ndata: one\n\n", "data: one\n\n")
}

// The same at the sockets: wherever the engine dies, the client's reader comes
// to a good end.
func TestEngineThatDiesAtAnyByteOfAChunk(t *testing.T) {
	const framed = "b\r\ndata: one\n\n\r\n13;x\r\ndata: {\"a\":\"bcde\"}\n\r\n1\r\n\n\r\n"
	cut := 0
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) { raw(sseHead+framed[:cut])(w, r) })
	// What an engine does in mid-stream takes it out when it repeats: one each.
	for cut = len("b\r\nd"); cut < len(framed); cut += 3 {
		r := start(t, instances(e.url), nil)
		resp, body := r.do(askStream)
		if resp.StatusCode != 200 || strings.Count(body, `data: {"error":`) != 1 || !strings.HasPrefix(body, "d") {
			t.Fatalf("cut at %d: %d %q", cut, resp.StatusCode, body)
		}
		r.stop()
	}
}
