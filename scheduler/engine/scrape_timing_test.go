package engine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// servePages, in the environment, makes the test binary an engine: its own
// process, so that the benchmark's CPU time is the router's alone.
const servePages = "PENSTOCK_TEST_SERVE_PAGES"

func TestMain(m *testing.M) {
	if os.Getenv(servePages) == "" {
		os.Exit(m.Run())
	}
	full, err := os.ReadFile("testdata/real-vllm-0.32.metrics")
	l, err2 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err, err2); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	lean := filtered(string(full), profileOf(VLLM).text.names)
	fmt.Println(byPath(l, map[string]string{"/full": ok200(string(full)), "/metrics": ok200(string(full)), "/metrics/": ok200(lean)}))
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the parent ends
}

// BenchmarkFleet is the router's side of 100 engines scraped at 100 ms each, as
// concurrently as they come: one iteration is 100 ms of it. The engines are
// another process.
//
//	go test ./scheduler/engine -run xxx -bench Fleet -benchtime 50x
func BenchmarkFleet(b *testing.B) {
	const engines, every = 100, 100 * time.Millisecond
	url := engineProcess(b)
	f := func(name string, custom []Custom, lean bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			fleet := make([]*Client, engines)
			readings := make([]Reading, engines)
			for i := range fleet {
				fleet[i] = newTestClient(b, Options{URL: url, Kind: VLLM, Custom: custom})
			}
			start, done := make(chan int), make(chan error)
			defer close(start)
			for range fleet {
				go func() {
					for i := range start {
						done <- fleet[i].Scrape(b.Context(), &readings[i])
					}
				}()
			}
			round := func() {
				for i := range fleet {
					start <- i
				}
				for range fleet {
					if err := <-done; err != nil {
						b.Error(err)
					}
				}
			}
			for range 3 { // finds out what there is
				round()
			}
			tick := time.NewTicker(every)
			defer tick.Stop()
			before := cpuTime(b)
			for b.Loop() {
				round()
				<-tick.C
			}
			spent := cpuTime(b) - before
			if readings[0].Lean != lean || readings[0].GenerationTokens != 21695 {
				b.Fatalf("got %+v", readings[0])
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N*engines), "cpu-µs/scrape")
			b.ReportMetric(100*spent.Seconds()/(float64(b.N)*every.Seconds()), "%core")
		})
	}
	f("full", []Custom{{Name: "vllm", MetricsPath: "/full"}}, false)
	f("lean", nil, true)
}

// engineProcess starts the engines, until the benchmark ends.
func engineProcess(b *testing.B) (url string) {
	b.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), servePages+"=1")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = child.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// cpuTime is what this process has used of the CPU so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
