package sim

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// send writes a request to a raw connection: the client's cost is not measured.
func send(conn net.Conn, body string) error {
	_, err := fmt.Fprintf(conn, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err
}

// BenchmarkAnswer is a whole request, of an engine that answers at once.
func BenchmarkAnswer(b *testing.B) {
	f := func(name string, prompt int) {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, nil)
			body := `{"model":"llama2","max_tokens":1,"prompt":"` + strings.Repeat("Water ", prompt/6) + `"}`
			conn := r.raw("")
			answers := bufio.NewReader(conn)
			b.ReportAllocs()
			for b.Loop() {
				if err := send(conn, body); err != nil {
					b.Fatal(err)
				}
				length := 0
				for {
					line, err := answers.ReadString('\n')
					if err != nil {
						b.Fatal(err)
					}
					if n, ok := strings.CutPrefix(line, "Content-Length: "); ok {
						fmt.Sscan(n, &length)
					}
					if line == "\r\n" {
						break
					}
				}
				if _, err := io.CopyN(io.Discard, answers, int64(length)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("small", 60)
	f("220KB", 220_000)
}

// BenchmarkStreams is an event of one of 400 streams of an 8B engine, about 65 a
// second each: the CPU time of this process, with a client that only counts.
func BenchmarkStreams(b *testing.B) {
	r := newRig(b, func(c *Config) { c.Profile, c.MaxNumSeqs, c.KVBlocks = "8b-h100", 400, 100_000 })
	var events atomic.Int64
	var clients sync.WaitGroup
	var conns []net.Conn
	for range 400 {
		conn := r.raw("")
		conns = append(conns, conn)
		if err := send(conn, `{"prompt":"Water","max_tokens":100000,"stream":true}`); err != nil {
			b.Fatal(err)
		}
		clients.Go(func() {
			for buf := make([]byte, 4096); ; {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				events.Add(int64(bytes.Count(buf[:n], []byte("data: "))))
			}
		})
	}
	r.until("all run", func() bool { return r.stats().Running == 400 })
	b.ReportAllocs()
	b.ResetTimer()
	begin, cpu := events.Load(), cpuTime()
	r.until("the events are there", func() bool { return events.Load() >= begin+int64(b.N) })
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(events.Load()-begin), "cpu-ns/event")
	b.ReportMetric(float64(events.Load()-begin)/b.Elapsed().Seconds(), "events/s")
	b.StopTimer()
	for _, conn := range conns {
		conn.Close()
	}
	clients.Wait()
}

// cpuTime is what this process has used, user and system.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
