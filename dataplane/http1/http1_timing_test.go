package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func BenchmarkRequest(b *testing.B) {
	head := []byte(clientHead)
	b.Run("http1", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		var r Request
		for b.Loop() {
			r.Reset()
			if n, err := r.Parse(head); n == 0 {
				b.Fatal(err)
			}
		}
	})
	b.Run("fasthttp", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		var h fasthttp.RequestHeader
		src := bytes.NewReader(head)
		br := bufio.NewReader(src)
		for b.Loop() {
			src.Reset(head)
			br.Reset(src)
			if err := h.Read(br); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		src := bytes.NewReader(head)
		br := bufio.NewReader(src)
		for b.Loop() {
			src.Reset(head)
			br.Reset(src)
			if _, err := http.ReadRequest(br); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkResponse(b *testing.B) {
	head := []byte(answerHead)
	b.Run("http1", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		var r Response
		for b.Loop() {
			r.Reset()
			if n, err := r.Parse(head); n == 0 {
				b.Fatal(err)
			}
		}
	})
	b.Run("fasthttp", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		var h fasthttp.ResponseHeader
		src := bytes.NewReader(head)
		br := bufio.NewReader(src)
		for b.Loop() {
			src.Reset(head)
			br.Reset(src)
			if err := h.Read(br); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(head)))
		src := bytes.NewReader(head)
		br := bufio.NewReader(src)
		for b.Loop() {
			src.Reset(head)
			br.Reset(src)
			if _, err := http.ReadResponse(br, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTrickle is a head that comes byte by byte: the time for a byte must
// not grow with the head.
func BenchmarkTrickle(b *testing.B) {
	for _, size := range []int{1 << 10, 8 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			const begins, ends = "GET / HTTP/1.0\r\nA: ", "\r\n\r\n"
			head := []byte(begins + strings.Repeat("a", size-len(begins)-len(ends)) + ends)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			var r Request
			for b.Loop() {
				r.Reset()
				for i := range head {
					if _, err := r.Parse(head[:i+1]); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/byte")
		})
	}
}

// BenchmarkChunks is a stream of tokens, 200 bytes each.
func BenchmarkChunks(b *testing.B) {
	const events = 100
	body := []byte(strings.Repeat("c8\r\n"+strings.Repeat("x", 200)+"\r\n", events) + "0\r\n\r\n")
	b.Run("http1", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		var c Chunks
		for b.Loop() {
			c.Reset()
			for n := 0; !c.Done(); {
				_, k, err := c.Next(body[n:])
				if err != nil {
					b.Fatal(err)
				}
				n += k
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		src := bytes.NewReader(body)
		for b.Loop() {
			src.Reset(body)
			if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(src)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
	})
}
