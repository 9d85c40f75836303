package dataplane

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"penstock/scheduler"
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

// A front that is too busy answers as it accepts, before it was asked: no edge
// follows the one that came before anybody waited.
func TestAnswerThatComesBeforeTheRequest(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if n == 0 { // the keeper's
				go servePlainly(c, saying(jsonAnswer))
				continue
			}
			io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy")
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	r := start(t, roomy(instances("http://"+ln.Addr().String())), calm)
	r.until("the instance to be in", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	for range 100 {
		if resp, body := r.do(ask); resp.StatusCode != 429 || body != "busy" {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	}
}
