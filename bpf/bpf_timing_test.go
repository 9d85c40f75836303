package bpf

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// BenchmarkRead64 reads the rows of 64 instances: through the mapping, and with
// a system call for each.
func BenchmarkRead64(b *testing.B) {
	s := open(b, Sockops, nil)
	b.Run("mmap", func(b *testing.B) {
		b.ReportAllocs()
		var c Counters
		for b.Loop() {
			for row := range 64 {
				s.Read(row, &c)
			}
		}
	})
	b.Run("lookup", func(b *testing.B) {
		b.ReportAllocs()
		rows := s.(*sockops).maps.Rows
		value := make([]byte, rowSize)
		for b.Loop() {
			for row := range uint32(64) {
				if err := rows.Lookup(&row, value); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkEvent is the way of a FIN: from the peer's close(2), and from the
// kernel's callback, to Run's function.
func BenchmarkEvent(b *testing.B) {
	for _, mode := range []Mode{Sockops, Tracepoints} {
		b.Run(string(mode), func(b *testing.B) {
			s := open(b, mode, nil)
			p := newPeer(b, "tcp4", "127.0.0.1:0")
			track(b, s, p.addr)
			type arrival struct {
				Event
				at int64
			}
			heard := make(chan arrival, 1)
			stop := make(chan struct{})
			var running sync.WaitGroup
			running.Go(func() {
				s.Run(stop, func(e Event) {
					if e.Kind == PeerClosed {
						heard <- arrival{e, Now()}
					}
				})
			})
			var fromCause, fromKernel []int64
			for b.Loop() {
				ours, theirs := p.dial()
				cause := Now()
				theirs.Close()
				e := <-heard
				fromCause = append(fromCause, e.at-cause)
				fromKernel = append(fromKernel, e.at-e.At)
				reset(ours)
			}
			b.StopTimer()
			close(stop)
			running.Wait()
			b.ReportMetric(quantile(fromCause, 0.5), "cause-p50-ns")
			b.ReportMetric(quantile(fromCause, 0.99), "cause-p99-ns")
			b.ReportMetric(quantile(fromKernel, 0.5), "kernel-p50-ns")
			b.ReportMetric(quantile(fromKernel, 0.99), "kernel-p99-ns")
		})
	}
}

func quantile(ns []int64, q float64) float64 {
	slices.Sort(ns)
	return float64(ns[int(q*float64(len(ns)-1))])
}

// exchange is a small request and its answer.
func exchange(tb testing.TB, ours net.Conn, buf []byte) {
	if _, err := ours.Write(buf); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(ours, buf); err != nil {
		tb.Fatal(err)
	}
}

// newEcho is an instance that sends back what it gets.
func newEcho(tb testing.TB) string {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
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
			go func() { defer c.Close(); io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) }()
		}
	}()
	return ln.Addr().String()
}

// BenchmarkCallback is the time that the kernel says the programs take, over
// connections that carry ten exchanges each.
func BenchmarkCallback(b *testing.B) {
	f := func(mode Mode, programs func(Source) map[string]*ebpf.Program) {
		b.Run(string(mode), func(b *testing.B) {
			stats, err := ebpf.EnableStats(unix.BPF_STATS_RUN_TIME)
			if err != nil {
				b.Fatal(err)
			}
			defer stats.Close()
			s := open(b, mode, nil)
			echo := newEcho(b)
			track(b, s, netipOf(b, echo))
			buf := make([]byte, 200)
			for b.Loop() {
				c, err := net.Dial("tcp4", echo)
				if err != nil {
					b.Fatal(err)
				}
				for range 10 {
					exchange(b, c, buf)
				}
				reset(c.(*net.TCPConn))
			}
			for name, p := range programs(s) {
				st, err := p.Stats()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(st.Runtime.Nanoseconds())/float64(max(1, st.RunCount)), name+"-ns")
				b.ReportMetric(float64(st.RunCount)/float64(b.N), name+"/op")
			}
		})
	}
	f(Sockops, func(s Source) map[string]*ebpf.Program {
		o := s.(*sockops).objects
		return map[string]*ebpf.Program{"backend": o.Backend, "closing": o.Closing}
	})
	f(Tracepoints, func(s Source) map[string]*ebpf.Program {
		o := s.(*tracepoints).objects
		return map[string]*ebpf.Program{"changing": o.Changing}
	})
}

// BenchmarkConnect is what the program adds to a connection's set-up and end,
// and to an exchange on it. With and without take turns, in the same process:
// which cgroup it is in when a socket is made decides.
func BenchmarkConnect(b *testing.B) {
	echo := newEcho(b) // before the cgroup is entered: that end is not heard
	s := open(b, Sockops, nil).(*sockops)
	defer moveTo(s.cgroup.path)
	track(b, s, netipOf(b, echo))
	places := map[string]string{"with": s.cgroup.path, "without": s.cgroup.home}
	connect, exchanges := map[string][]int64{}, map[string][]int64{}
	buf := make([]byte, 200)
	for b.Loop() {
		for name, cgroup := range places {
			if err := moveTo(cgroup); err != nil {
				b.Fatal(err)
			}
			for range 20 {
				began := time.Now()
				c, err := net.Dial("tcp4", echo)
				if err != nil {
					b.Fatal(err)
				}
				dialed := time.Since(began)
				began = time.Now()
				for range 10 {
					exchange(b, c, buf)
				}
				exchanges[name] = append(exchanges[name], time.Since(began).Nanoseconds()/10)
				began = time.Now()
				reset(c.(*net.TCPConn))
				connect[name] = append(connect[name], (dialed + time.Since(began)).Nanoseconds())
			}
		}
	}
	for name := range places {
		b.ReportMetric(quantile(connect[name], 0.5), "connect-"+name+"-ns")
		b.ReportMetric(quantile(exchanges[name], 0.5), "exchange-"+name+"-ns")
	}
}
