package load

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The engine that benchmarks load runs in a process of its own, this program
// again, so that the CPU of this one is the generator's alone.
const (
	engineEnv    = "PENSTOCK_LOAD_TIMED_ENGINE"
	timedEvents  = 50
	timedPause   = 2 * time.Millisecond // between two events
	timedStreams = 64
	timedClients = 16
)

func TestMain(m *testing.M) {
	if os.Getenv(engineEnv) != "" {
		timedEngine()
		return
	}
	os.Exit(m.Run())
}

// timedEngine serves until its standard input ends.
func timedEngine() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString("http://" + ln.Addr().String() + "\n")
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !bytes.Contains(body, []byte(`"stream":true`)) {
			io.WriteString(w, `{"choices":[{"text":"a"}],"usage":{"prompt_tokens":16,"completion_tokens":1}}`)
			return
		}
		for i := range timedEvents {
			say(w, tokenEvent(i))
			time.Sleep(timedPause)
		}
		say(w, usageEvent(16, timedEvents), doneEvent)
	}))
	io.Copy(io.Discard, os.Stdin)
}

func startTimedEngine(b *testing.B) (url string) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), engineEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// cpu is what this process has used so far.
func cpu() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkClient is what the generator itself costs, beside the same load from
// a net/http client that only counts. See cpu-µs/request and cpu-ns/event: the
// time of an operation is the engine's too.
func BenchmarkClient(b *testing.B) {
	f := func(name string, stream bool, load func(b *testing.B, cfg Config)) {
		b.Run(name, func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.URL, cfg.Model, cfg.Stream, cfg.Requests, cfg.Concurrency = startTimedEngine(b), "m", stream, b.N, timedClients
			if stream {
				cfg.Concurrency = timedStreams
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			load(b, cfg)
			used := float64(cpu() - before)
			b.ReportMetric(used/float64(b.N)/1e3, "cpu-µs/request")
			if stream {
				b.ReportMetric(used/float64(b.N)/timedEvents, "cpu-ns/event")
			}
		})
	}
	f("answers/load", false, timeLoad)
	f("answers/nethttp", false, timeNetHTTP)
	f("streams/load", true, timeLoad)
	f("streams/nethttp", true, timeNetHTTP)
}

func timeLoad(b *testing.B, cfg Config) {
	r, err := Run(b.Context(), cfg, nil)
	if err != nil || r.Completed != b.N {
		b.Fatalf("error %v, report %+v", err, r)
	}
}

func timeNetHTTP(b *testing.B, cfg Config) {
	tmpl := newTemplate(&cfg, cfg.Model)
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: cfg.Concurrency, DisableCompression: true}}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range cfg.Concurrency {
		wg.Go(func() {
			var body []byte
			buf := make([]byte, readBytes)
			for n := next.Add(1) - 1; n < int64(b.N); n = next.Add(1) - 1 {
				body = tmpl.append(body[:0], &cfg, int(n))
				resp, err := client.Post(cfg.URL+tmpl.path, "application/json", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				for err == nil {
					_, err = resp.Body.Read(buf)
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
}

func BenchmarkEvent(b *testing.B) {
	piece := []byte(tokenEvent(7))
	var e events
	var a answer
	b.ReportAllocs()
	for b.Loop() {
		e.feed(piece)
		for data, ok, _ := e.next(); ok; data, ok, _ = e.next() {
			a.event(data)
		}
	}
}

func BenchmarkPrompt(b *testing.B) {
	cfg := DefaultConfig()
	cfg.PromptTokens = 1000
	tmpl := newTemplate(&cfg, "m")
	var body []byte
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		body = tmpl.append(body[:0], &cfg, n)
	}
	b.SetBytes(int64(len(body)))
}
