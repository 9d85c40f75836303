package dataplane

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

// An engine that closes with its last bytes: the FIN may come in one edge with
// them, and nothing else follows that would wake the stream.
func TestEndThatComesWithTheLastBytes(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		c, rw := hijack(w)
		fmt.Fprint(rw, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
		rw.Flush()
		c.Close()
	})
	r := start(t, instances(e.url), nil)
	for range 300 {
		if resp, body := r.do(ask); resp.StatusCode != 200 || body != "hello" {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	}
}
