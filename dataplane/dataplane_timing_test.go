package dataplane

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"penstock/scheduler"
)

// plainEngine answers by hand and allocates nothing, so that what is measured
// is what stands before it. It knows nothing of metrics and is always well.
func plainEngine(tb testing.TB, answer func(net.Conn)) string {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go servePlainly(c, answer)
		}
	}()
	return "http://" + ln.Addr().String()
}

func servePlainly(c net.Conn, answer func(net.Conn)) {
	defer c.Close()
	well := []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	length := []byte("\r\nContent-Length: ")
	buf := make([]byte, 1<<20)
	for n := 0; ; n = 0 {
		head := -1
		for head < 0 {
			k, err := c.Read(buf[n:])
			if err != nil {
				return
			}
			n += k
			head = bytes.Index(buf[:n], []byte("\r\n\r\n"))
		}
		if buf[0] == 'G' {
			c.Write(well)
			continue
		}
		left := 0
		for _, b := range buf[bytes.Index(buf[:head], length)+len(length):] {
			if b < '0' || b > '9' {
				break
			}
			left = left*10 + int(b-'0')
		}
		for left -= n - head - 4; left > 0; {
			k, err := c.Read(buf)
			if err != nil {
				return
			}
			left -= k
		}
		answer(c)
	}
}

const jsonBody = `{"id":"cmpl-1","choices":[{"text":"hi","finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`

var jsonAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(jsonBody)) + "\r\n\r\n" + jsonBody

func saying(answer string) func(net.Conn) {
	b := []byte(answer)
	return func(c net.Conn) { c.Write(b) }
}

const oneEvent = "2e\r\n" + `data: {"choices":[{"index":0,"text":"hello"}]}` + "\r\n"

// streaming sends an event for each word from next.
func streaming(next <-chan struct{}) func(net.Conn) { return streamingOf(next, oneEvent) }

// wholeEvent is one that ends.
const wholeEvent = "30\r\n" + `data: {"choices":[{"index":0,"text":"hello"}]}` + "\n\n\r\n"

func streamingOf(next <-chan struct{}, event string) func(net.Conn) {
	b := []byte(event)
	return func(c net.Conn) {
		io.WriteString(c, sseHead)
		for range next {
			c.Write(b)
		}
	}
}

// tripper returns what sends the request and reads the answer, whose last bytes
// are those of want.
func tripper(tb testing.TB, addr string, request []byte, want string) func() {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	buf, tail := make([]byte, 64<<10), []byte(want[len(want)-5:])
	return func() {
		if _, err := c.Write(request); err != nil {
			tb.Fatal(err)
		}
		for n := 0; !bytes.HasSuffix(buf[:n], tail); {
			k, err := c.Read(buf[n:])
			if err != nil {
				tb.Fatalf("%v after %q", err, buf[:n])
			}
			n += k
		}
	}
}

// listener begins a stream and returns what asks for an event and reads it.
func listener(tb testing.TB, addr string, next chan<- struct{}) func() {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	io.WriteString(c, sized(len(askStream)))
	buf := make([]byte, 4096)
	read := func() {
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("}\r\n")); {
			k, err := c.Read(buf[n:])
			if err != nil {
				tb.Fatalf("%v after %q", err, buf[:n])
			}
			n += k
		}
	}
	next <- struct{}{}
	read() // the head too
	return func() {
		next <- struct{}{}
		read()
	}
}

// messageListener is listener over a WebSocket.
func messageListener(tb testing.TB, addr string, next chan<- struct{}) func() {
	tb.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	buf := make([]byte, 4096)
	read := func(tail string) {
		for n := 0; !bytes.HasSuffix(buf[:n], []byte(tail)); {
			k, err := c.Read(buf[n:])
			if err != nil {
				tb.Fatalf("%v after %q", err, buf[:n])
			}
			n += k
		}
	}
	io.WriteString(c, "GET "+chat+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	read("\r\n\r\n")
	c.Write(frameOf(true, 1, true, []byte(askStream)))
	next <- struct{}{}
	read("}")
	return func() {
		next <- struct{}{}
		read("}")
	}
}

// calm keeps the scheduler from asking the engine while something is measured.
func calm(_ *Config, s *scheduler.Config) {
	s.Scrape.Every = time.Hour
	s.Health.ProbeEvery = time.Hour
}

// A proxy that knows nothing: fasthttp's server and client, as in
// bench/peers/floor.
func fasthttpProxy(tb testing.TB, engine string) (addr string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	client := &fasthttp.HostClient{Addr: engine[len("http://"):], MaxConns: 1 << 16, MaxIdleConnDuration: time.Minute, StreamResponseBody: true, DisablePathNormalizing: true}
	server := &fasthttp.Server{
		MaxRequestBodySize: 64 << 20, NoDefaultServerHeader: true, NoDefaultDate: true,
		Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Request.Header.Del(fasthttp.HeaderConnection)
			if err := client.Do(&ctx.Request, &ctx.Response); err != nil {
				ctx.Error(err.Error(), fasthttp.StatusBadGateway)
			}
		},
	}
	go server.Serve(ln)
	tb.Cleanup(func() { ln.Close() })
	return ln.Addr().String()
}

// through runs f against nothing, this gateway and the proxy that knows nothing.
func through(b *testing.B, answer func() func(net.Conn), f func(b *testing.B, addr string)) {
	b.Run("direct", func(b *testing.B) { f(b, plainEngine(b, answer())[len("http://"):]) })
	b.Run("penstock", func(b *testing.B) {
		f(b, start(b, roomy(instances(plainEngine(b, answer()))), calm).addr)
	})
	b.Run("fasthttp", func(b *testing.B) { f(b, fasthttpProxy(b, plainEngine(b, answer()))) })
}

// One request after another on one connection: time is latency, both ways.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []int{20, 8 << 10, 220 << 10} {
		body := `{"model":"m","prompt":"` + strings.Repeat("Some words of a prompt. ", 1+size/24) + `"}`
		request := []byte("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			through(b, func() func(net.Conn) { return saying(jsonAnswer) }, func(b *testing.B, addr string) {
				trip := tripper(b, addr, request, jsonAnswer)
				trip()
				b.ReportAllocs()
				for b.Loop() {
					trip()
				}
			})
		})
	}
}

func BenchmarkEvent(b *testing.B) {
	var next chan struct{}
	through(b, func() func(net.Conn) { next = make(chan struct{}); return streaming(next) }, func(b *testing.B, addr string) {
		defer close(next)
		trip := listener(b, addr, next)
		b.ReportAllocs()
		for b.Loop() {
			trip()
		}
	})
}

func BenchmarkMeter(b *testing.B) {
	f := func(name string, mode framing, pieces ...string) {
		b.Run(name, func(b *testing.B) {
			a := &answer{mode: mode}
			a.head.EventStream = true
			var m meter
			m.begin(0, a)
			var all [][]byte
			for _, p := range pieces {
				all = append(all, []byte(p))
			}
			b.ReportAllocs()
			for b.Loop() {
				for i := range all {
					a.parts = all[i : i+1]
					m.see(a)
				}
			}
		})
	}
	const chat = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"llama2","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	f("event", framedChunked, chat)
	f("event without framing", framedClose, chat)
	f("event in halves", framedChunked, chat[:100], chat[100:])
	f("usage", framedChunked, `data: {"id":"1","choices":[{"finish_reason":"","index":0,"text":"a"}],"usage":{"prompt_tokens":36,"completion_tokens":1,"total_tokens":37},"error_info":null}`+"\n\n")
}
