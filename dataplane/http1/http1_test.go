package http1

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// clientHead is what OpenAI's Python client sends.
const clientHead = "POST /v1/chat/completions HTTP/1.1\r\n" +
	"Host: 127.0.0.1:8080\r\n" +
	"Accept-Encoding: gzip, deflate\r\n" +
	"Connection: keep-alive\r\n" +
	"Accept: application/json\r\n" +
	"Content-Type: application/json\r\n" +
	"User-Agent: OpenAI/Python 1.109.1\r\n" +
	"X-Stainless-Lang: python\r\n" +
	"X-Stainless-Package-Version: 1.109.1\r\n" +
	"X-Stainless-OS: Linux\r\n" +
	"X-Stainless-Runtime: CPython\r\n" +
	"Authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\n" +
	"Content-Length: 1234\r\n\r\n"

// answerHead is what vLLM (uvicorn) answers to a stream.
const answerHead = "HTTP/1.1 200 OK\r\n" +
	"date: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
	"server: uvicorn\r\n" +
	"content-type: text/event-stream; charset=utf-8\r\n" +
	"x-request-id: 0123456789abcdef\r\n" +
	"transfer-encoding: chunked\r\n\r\n"

// refused checks that err is an *Error with this status, a code to go with it,
// and a message that has want in it.
func refused(t *testing.T, what string, n int, err error, status int, code, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s: got %d, %v; want a refusal: %s", what, n, err, want)
		return
	}
	if n != 0 || e.Status != status || e.Code != code || !strings.Contains(e.Msg, want) {
		t.Errorf("%s: got %d, %d %s %q; want %d %s %q", what, n, e.Status, e.Code, e.Msg, status, code, want)
	}
}

// inPieces calls parse with what has come of b after each piece, in memory of
// its own each time, and makes what came before unreadable. sizes says how long
// the pieces are; 0 counts as 1.
func inPieces(b []byte, sizes []byte, parse func(b []byte) (int, error)) (n int, err error) {
	var last []byte
	for have, i := 0, 0; have < len(b); i++ {
		k := 1
		if len(sizes) > 0 {
			k = max(1, int(sizes[i%len(sizes)]))
		}
		have = min(have+k, len(b))
		now := bytes.Clone(b[:have])
		for i := range last {
			last[i] = '#'
		}
		last = now
		if n, err = parse(now); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}
