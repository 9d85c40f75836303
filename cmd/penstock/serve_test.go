package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"penstock/cmd/penstock/config"
	"penstock/dataplane"
)

var quiet = slog.New(slog.DiscardHandler)

func fetch(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

var greeting = regexp.MustCompile(`^penstock dev: (http://\S+) before 2 engines by predictive; state and metrics at (http://\S+)/$`)

func TestServeRoutesAndEndsOnASignal(t *testing.T) {
	f := func(number syscall.Signal) {
		t.Helper()
		urls := engines(t, 2)
		p := start(t, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--instance", urls[0], "--instance", urls[1], "--log-level", "warn")
		said := greeting.FindStringSubmatch(p.line())
		if said == nil {
			t.Fatal("the first line does not say where it listens")
		}
		url, admin := said[1], said[2]
		if status, body := fetch(t, "POST", url+"/v1/completions", `{"model":"m","prompt":"hello","max_tokens":3}`); status != 200 || !strings.Contains(body, `"completion_tokens":3`) {
			t.Errorf("%d: %s", status, body)
		}
		if status, body := fetch(t, "GET", admin+"/metrics", ""); status != 200 || !strings.Contains(body, `penstock_requests_total{route="/v1/completions",code="200",key=""} 1`) {
			t.Errorf("%d: %s", status, body)
		}
		if _, body := fetch(t, "GET", admin+"/api/v1/config", ""); !strings.Contains(body, `"url": "`+urls[1]+`"`) {
			t.Errorf("the effective configuration is %s", body)
		}
		for _, later := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR2, number} {
			if err := syscall.Kill(os.Getpid(), later); err != nil {
				t.Fatal(err)
			}
		}
		if status := p.end(); status != 0 || p.errs.Len() > 0 {
			t.Errorf("exit status %d, %s", status, &p.errs)
		}
	}
	f(syscall.SIGTERM)
	f(syscall.SIGINT)
}

func TestServeFromTheManagedServicesFile(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	defer func() { runtime.GOMAXPROCS(procs); debug.SetMemoryLimit(1<<63 - 1) }()
	url := engines(t, 1)[0]
	file := filepath.Join("..", "..", "scripts", "e2e", "fixtures", "router-advanced.json")
	p := start(t, "serve", "-c", file, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--instance", url, "--log-level", "warn")
	line := p.line()
	if !strings.Contains(line, "before the engine "+url) {
		t.Fatalf("it says %q", line)
	}
	at, _, _ := strings.Cut(strings.TrimPrefix(line, "penstock dev: "), " ")
	status, body := fetch(t, "POST", at+"/api/predict/llm_group.llm_router_llm_gateway/v1/completions", `{"model":"m","prompt":"hello","max_tokens":3}`)
	if status != 200 {
		t.Errorf("%d: %s", status, body)
	}
	if got := debug.SetMemoryLimit(-1); got != 4000<<20 {
		t.Errorf("the memory limit is %d, want metadata.memory", got)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := p.end(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestOpenDoorsAreSaid(t *testing.T) {
	f := func(listen []string, admin string, want int) {
		t.Helper()
		cfg, err := config.Load("", config.Flags{Instances: []string{"http://a"}, Listen: listen, Admin: admin})
		if err != nil {
			t.Fatal(err)
		}
		if got := cautions(cfg); len(got) != want {
			t.Errorf("%v, %s: got %q, want %d", listen, admin, got, want)
		}
	}
	f(nil, "", 0)
	f([]string{"127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/run/x.sock"}, "", 0)
	f([]string{"127.0.0.1:1", ":1"}, "", 1)
	f([]string{"10.0.0.1:1"}, "0.0.0.0:2", 2)
	f(nil, "gw.internal:2", 1)

	cfg, err := config.Load("", config.Flags{Instances: []string{"http://a"}, Listen: []string{":1"}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Gateway.Auth.Keys = []dataplane.Key{{Name: "a"}}
	if got := cautions(cfg); len(got) != 0 {
		t.Errorf("with keys: got %q", got)
	}
}

func TestLogFormats(t *testing.T) {
	f := func(format, want string) {
		t.Helper()
		var b strings.Builder
		log := newLog(config.Log{Format: format, Level: slog.LevelWarn}, &b)
		log.Info("not this")
		log.Warn("this", "a", 1)
		if got := b.String(); !strings.Contains(got, want) || strings.Contains(got, "not this") {
			t.Errorf("%s: got %q", format, got)
		}
	}
	f("text", "level=WARN msg=this a=1")
	f("json", `"level":"WARN","msg":"this","a":1`)
}

func TestBoundsAreKept(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	defer func() { runtime.GOMAXPROCS(procs); debug.SetMemoryLimit(1<<63 - 1) }()
	bound(config.Resources{})
	if got := runtime.GOMAXPROCS(0); got != procs {
		t.Errorf("no bound: GOMAXPROCS is %d, was %d", got, procs)
	}
	bound(config.Resources{CPU: 1, Memory: 1 << 30})
	if cpu, memory := runtime.GOMAXPROCS(0), debug.SetMemoryLimit(-1); cpu != 1 || memory != 1<<30 {
		t.Errorf("got %d cores and %d bytes", cpu, memory)
	}
	bound(config.Resources{CPU: 4096})
	if got := runtime.GOMAXPROCS(0); got != runtime.NumCPU() {
		t.Errorf("more than there are: GOMAXPROCS is %d", got)
	}
}

func TestSimServesUntilASignal(t *testing.T) {
	p := start(t, "sim", "--listen", "127.0.0.1:0", "--instances", "2", "--profile", "instant")
	words := strings.Fields(p.line())
	if !reflect.DeepEqual(words[:2], []string{"simulated", "vllm"}) {
		t.Fatalf("it says %q", words)
	}
	for _, url := range words[len(words)-2:] {
		if status, body := fetch(t, "GET", url+"/v1/models", ""); status != 200 || !strings.Contains(body, "llama2") {
			t.Errorf("%s: %d %s", url, status, body)
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := p.end(); status != 0 {
		t.Errorf("exit status %d, %s", status, &p.errs)
	}
}

func TestGreeting(t *testing.T) {
	f := func(want string, flags config.Flags) {
		t.Helper()
		flags.Instances, flags.Listen, flags.Kernel = []string{"http://127.0.0.1:1"}, []string{"0.0.0.0:0"}, "off"
		cfg, err := config.Load("", flags)
		if err != nil {
			t.Fatal(err)
		}
		r, err := newRouter(cfg, quiet)
		if err != nil {
			t.Fatal(err)
		}
		var out, logged strings.Builder
		ctx, cancel := context.WithCancel(context.Background())
		if err := r.run(ctx, func() { greet(&out, cfg, r, newLog(cfg.Log, &logged)); cancel() }); err != nil {
			t.Fatal(err)
		}
		if got := out.String() + "|" + logged.String(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	f(`^penstock dev: http://0\.0\.0\.0:\d+ before the engine http://127\.0\.0\.1:1 by predictive; state and metrics at http://127\.0\.0\.1:\d+/\n\|$`, config.Flags{Admin: "0.0.0.0:0"})
	f(`^penstock .* at http://127\.0\.0\.1:\d+/\n\|$`, config.Flags{Admin: ":0"})
	f(`^\|{.*"msg":"serving","version":"dev","urls":\["http://0\.0\.0\.0:\d+"\],"instances":1,"policy":"predictive","admin":"http://127\.0\.0\.1:\d+"}\n$`, config.Flags{Admin: "127.0.0.1:0", LogFormat: "json"})
	f(`^\|$`, config.Flags{Admin: "127.0.0.1:0", LogLevel: "error"})
	f(`^\|$`, config.Flags{Admin: "127.0.0.1:0", LogLevel: "error", LogFormat: "json"})
}

func TestGreetingComesBeforeWhatTheInstancesDo(t *testing.T) {
	cfg, err := config.Load("", config.Flags{Instances: engines(t, 3), Listen: []string{"127.0.0.1:0"}, Admin: "127.0.0.1:0", Kernel: "off"})
	if err != nil {
		t.Fatal(err)
	}
	var both lockedBuffer
	r, err := newRouter(cfg, newLog(cfg.Log, &both))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, func() { greet(&both, cfg, r, quiet) }) }()
	until(t, "all three", func() bool { return strings.Count(both.String(), "instance is healthy") == 3 })
	cancel()
	greeted, first := strings.Index(both.String(), "penstock dev: "), strings.Index(both.String(), "instance is healthy")
	if err := receive(t, ended, "the end"); err != nil || greeted < 0 || greeted > first {
		t.Errorf("%v: %s", err, both.String())
	}
}

func TestErrorsAreJSONWhereTheLogIs(t *testing.T) {
	var c serveCmd
	var logged, errs strings.Builder
	cause := &config.Error{Message: "wrong"}
	err := c.logged(cause, config.Log{Format: "json"}, &logged)
	if !strings.Contains(logged.String(), `"level":"ERROR","msg":"wrong"`) {
		t.Errorf("logged %q", &logged)
	}
	if status := fail(&errs, err); status != exitUsage || errs.Len() > 0 {
		t.Errorf("status %d, and said %q", status, &errs)
	}
	if err := c.logged(cause, config.Log{Format: "text"}, &logged); err != error(cause) {
		t.Errorf("text: got %v", err)
	}
}
