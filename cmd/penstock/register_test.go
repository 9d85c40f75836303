package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"penstock/cmd/penstock/config"
	"penstock/dataplane/admin"
	"penstock/scheduler"
)

// registering is a router with no instance that others may register with.
func registering(t *testing.T, text string) *router {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, config.Flags{Listen: []string{"127.0.0.1:0"}, Admin: "127.0.0.1:0", Kernel: "off"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRouter(cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() {
		if err := r.run(ctx, func() { close(ready) }); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	receive(t, ready, "the router")
	return r
}

// until waits for what is so sooner or later.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// register runs penstock register until stop is called, which returns what it
// ended with.
func register(t *testing.T, c registerCmd) (stop func() error) {
	t.Helper()
	r, err := c.registrar(c.Scheduler[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	return func() error { cancel(); return receive(t, ended, "the end of register") }
}

func TestRegisteredEngineGetsRequests(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	os.WriteFile(token, []byte("sk-token\n"), 0o600)
	r := registering(t, "discovery: {register: {token_file: "+token+", ttl: 2s}}")
	if status, body := fetch(t, "POST", r.urls()[0]+"/v1/completions", `{"model":"m","prompt":"a"}`); status != 503 {
		t.Errorf("an empty fleet answers %d: %s", status, body)
	}
	stop := register(t, registerCmd{Scheduler: []string{r.adminURL()}, Instance: engines(t, 1)[0], Name: "gpu-1", TokenFile: token})
	until(t, "the instance", func() bool { i := r.sched.Named("gpu-1"); return i != nil && i.State().String() == "healthy" })
	if status, body := fetch(t, "POST", r.urls()[0]+"/v1/completions", `{"model":"m","prompt":"a","max_tokens":1}`); status != 200 {
		t.Errorf("%d: %s", status, body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	until(t, "its end", func() bool { return r.sched.Named("gpu-1") == nil })
}

func TestRegistrationWithoutTheTokenIsRefused(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	os.WriteFile(token, []byte("sk-token\n"), 0o600)
	r := registering(t, "discovery: {register: {token_file: "+token+"}}")
	c := registerCmd{Scheduler: []string{r.adminURL()}, Instance: "http://127.0.0.1:1"}
	g, err := c.registrar(c.Scheduler[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.announce(t.Context()); err == nil || !strings.Contains(err.Error(), "(401): there is no token") {
		t.Errorf("got %v", err)
	}
	if status, _ := fetch(t, "POST", r.adminURL()+"/api/v1/instances/x/drain", ""); status != 401 {
		t.Errorf("who has no token may drain: %d", status)
	}
}

func TestRegistrationsAreChecked(t *testing.T) {
	r := registering(t, "discovery: {register: {}}\ninstances: [{url: 'http://127.0.0.1:9', name: fixed}]")
	f := func(body string, status int, want string) {
		t.Helper()
		got, said := announce(t, r, body)
		if got != status || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s, want %d with %q", body, got, said, status, want)
		}
	}
	f(`{"url":"http://127.0.0.1:7"}`, 201, `"name": "127.0.0.1:7"`)
	f(`{"url":"http://127.0.0.1:7"}`, 200, `"ttl_ms": 15000`)
	f(`{"url":"http://127.0.0.1:7","name":"x","models":["m"],"engine":"sglang"}`, 200, `"name": "x"`)
	f(`{"url":"http://127.0.0.1:8","name":"x"}`, 409, "http://127.0.0.1:7 has this name already")
	f(`{"url":"http://127.0.0.1:8","name":"fixed"}`, 409, "has this name already")
	f(`{"url":"127.0.0.1:8"}`, 400, "write http://127.0.0.1:8")
	f(`{"url":"http://a:1","engine":"nobody's"}`, 400, "engine: ")
	f(`{"url":"http://a:1","type":"queue"}`, 409, "service queue")
	f(`{"url":"http://a:1","kv_events":"tcp://a:5557"}`, 400, "not there yet")
	f(`{"url":"http://a:1","colour":"red"}`, 400, "colour")
	f(`nonsense`, 400, "want {")
	f(`{"url":"`+strings.Repeat("x", 65<<10)+`"}`, 413, "64 KiB")
	d := func(name string, status int, want string) {
		t.Helper()
		if got, said := fetch(t, "DELETE", r.adminURL()+"/api/v1/instances/"+name, ""); got != status || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s, want %d with %q", name, got, said, status, want)
		}
	}
	d("x", 204, "")
	d("x", 404, "no instance")
	d("fixed", 409, "did not register")
}

// announce posts a registration as a program does.
func announce(t *testing.T, r *router, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest("POST", r.adminURL()+"/api/v1/instances", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for n := 0; n < len(headers); n += 2 {
		req.Header.Set(headers[n], headers[n+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(said)
}

// Whoever wrote the token, or gave the name to another, may mend it while the
// engine runs.
func TestRegistrarKeepsTryingWhateverIsRefused(t *testing.T) {
	f := func(status int, goesOn bool) {
		t.Helper()
		var asked atomic.Int32
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) > 2 {
				io.WriteString(w, `{"name":"a","ttl_ms":15000}`)
				return
			}
			w.WriteHeader(status)
		}))
		defer s.Close()
		var log lockedBuffer
		g, err := (&registerCmd{Scheduler: []string{s.URL}, Instance: "http://127.0.0.1:1"}).registrar(s.URL, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- g.run(ctx) }()
		if !goesOn {
			if err := receive(t, ended, "the end"); err == nil || asked.Load() != 1 {
				t.Errorf("%d: %v after %d calls", status, err, asked.Load())
			}
			cancel()
			return
		}
		until(t, "the registration", func() bool { return strings.Contains(log.String(), "msg=registered") })
		cancel()
		if err := receive(t, ended, "the end"); err != nil || strings.Count(log.String(), "the scheduler refuses; trying again") != 1 {
			t.Errorf("%d: %v, logged %s", status, err, log.String())
		}
	}
	f(400, false)
	for _, status := range []int{401, 403, 404, 409, 500, 503} {
		f(status, true)
	}
}

func TestTokenThatIsMendedIsTaken(t *testing.T) {
	right, mine := filepath.Join(t.TempDir(), "right"), filepath.Join(t.TempDir(), "mine")
	os.WriteFile(right, []byte("sk-right\n"), 0o600)
	os.WriteFile(mine, []byte("sk-wrong\n"), 0o600)
	r := registering(t, "discovery: {register: {token_file: "+right+"}}")
	var log lockedBuffer
	g, err := (&registerCmd{Scheduler: []string{r.adminURL()}, Instance: "http://127.0.0.1:1", Name: "a", TokenFile: mine}).registrar(r.adminURL(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	until(t, "the refusal", func() bool { return strings.Contains(log.String(), "401") })
	os.WriteFile(mine, []byte("sk-right\n"), 0o600)
	until(t, "the registration", func() bool { return r.sched.Named("a") != nil })
	cancel()
	if err := receive(t, ended, "the end"); err != nil {
		t.Error(err)
	}
}

// What stands between two closes what is idle for minutes.
func TestRenewalIsNeverFarAway(t *testing.T) {
	f := func(ttl, want time.Duration) {
		t.Helper()
		if got := (registered{TTLms: ttl.Milliseconds()}).every(); got != want {
			t.Errorf("ttl %v: renews every %v, want %v", ttl, got, want)
		}
	}
	f(time.Hour, 30*time.Second)
	f(15*time.Second, 5*time.Second)
	f(0, 10*time.Millisecond)
}

// lockedBuffer is a log that two may use.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// cutter stands between a registrar and the router, and breaks what leads
// through it.
type cutter struct {
	ln net.Listener
	mu sync.Mutex
	on []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	ln, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{ln: ln}
	t.Cleanup(func() { ln.Close(); c.cut() })
	go func() {
		for {
			from, err := ln.Accept()
			if err != nil {
				return
			}
			on, err := net.Dial("tcp", to)
			if err != nil {
				from.Close()
				continue
			}
			c.mu.Lock()
			c.on = append(c.on, from, on)
			c.mu.Unlock()
			go io.Copy(from, on)
			go io.Copy(on, from)
		}
	}()
	return c
}

// cut resets all that leads through it, at both ends.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.on {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	c.on = nil
}

func TestRegistrarIsBackAtOnceWhenItsConnectionBreaks(t *testing.T) {
	r := registering(t, "discovery: {register: {ttl: 1h}}")
	between := newCutter(t, r.adminLn.Addr().String())
	urls := engines(t, 2)
	for _, stop := range []func() error{
		register(t, registerCmd{Scheduler: []string{r.adminURL()}, Instance: urls[1], Name: "other"}),
		register(t, registerCmd{Scheduler: []string{"http://" + between.ln.Addr().String()}, Instance: urls[0], Name: "gpu-1"}),
	} {
		defer stop()
	}
	healthy := func(name string) func() bool {
		return func() bool { i := r.sched.Named(name); return i != nil && i.State().String() == "healthy" }
	}
	until(t, "the instance", healthy("gpu-1"))
	until(t, "the other", healthy("other"))
	i := r.sched.Named("gpu-1")
	for n := range 2 {
		next := time.Now()
		until(t, "the loss and the return", func() bool {
			if count(i, "draining") == n && !time.Now().Before(next) { // it may be back before its loss is noticed
				between.cut()
				next = time.Now().Add(time.Second)
			}
			return count(i, "draining") > n && healthy("gpu-1")()
		})
	}
	if r.sched.Named("gpu-1") != i || count(i, "ejected") > 0 {
		t.Errorf("it was another for a while: %+v", i.Status().Changes)
	}
}

func TestKilledRegistrarTakesItsEngineOutAtOnce(t *testing.T) {
	r := registering(t, "discovery: {register: {ttl: 1h}}")
	urls := engines(t, 2)
	for n, name := range []string{"a", "b"} {
		body := `{"url":"` + urls[n] + `","name":"` + name + `"}`
		between := newCutter(t, r.adminLn.Addr().String())
		client := http.Client{Transport: &http.Transport{}}
		req, _ := http.NewRequest("POST", "http://"+between.ln.Addr().String()+"/api/v1/instances", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(admin.KeepAlive, "1")
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != 201 {
			t.Fatal(resp, err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		i := r.sched.Named(name)
		until(t, "the instance", func() bool { return i.State().String() == "healthy" })
		if name == "b" {
			between.cut()
			until(t, "its being out", func() bool {
				return i.State().String() == "draining" && i.Status().Reason == "its registration lost touch"
			})
			until(t, "its end", func() bool { return r.sched.Named("b") == nil })
		}
	}
}

func count(i *scheduler.Instance, state string) (n int) {
	for _, c := range i.Status().Changes {
		if c.To.String() == state {
			n++
		}
	}
	return n
}

// What answers HTTP/1.0 between the two closes after each answer.
func TestRegistrarLivesByTheTTLWhereConnectionsDoNotStay(t *testing.T) {
	var kept, plain atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(admin.KeepAlive) != "" {
			kept.Add(1)
		} else {
			plain.Add(1)
		}
		w.Header().Set("Connection", "close")
		io.WriteString(w, `{"name":"a","ttl_ms":600}`)
	}))
	defer s.Close()
	stop := register(t, registerCmd{Scheduler: []string{s.URL}, Instance: "http://127.0.0.1:1"})
	until(t, "renewals", func() bool { return plain.Load() > 5 })
	if err := stop(); err != nil || kept.Load() > registerEnds {
		t.Errorf("%v, %d asked for what cannot be", err, kept.Load())
	}
}

func TestSecondRegistrarSurvivesTheFirst(t *testing.T) {
	r := registering(t, "discovery: {register: {ttl: 1h}}")
	c := registerCmd{Scheduler: []string{r.adminURL()}, Instance: engines(t, 1)[0], Name: "a"}
	first := register(t, c)
	until(t, "the instance", func() bool { return r.sched.Named("a") != nil })
	i := r.sched.Named("a")
	g, err := c.registrar(c.Scheduler[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first(); err != nil {
		t.Error(err)
	}
	if r.sched.Named("a") != i || i.State().String() == "draining" {
		t.Error("the end of the first took it away")
	}
	g.withdraw("a")
	until(t, "the end", func() bool { return r.sched.Named("a") == nil })
}

func TestFileOfInstancesIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instances.yaml")
	os.WriteFile(path, []byte("instances: [{url: 'http://127.0.0.1:7', name: a}]"), 0o600)
	r := registering(t, "discovery: {file: "+path+"}")
	if r.sched.Named("a") == nil {
		t.Error("the file was not read before the start")
	}
	os.WriteFile(path, []byte("- {url: 'http://127.0.0.1:8', name: b}\n"), 0o600)
	until(t, "the change", func() bool { return r.sched.Named("b") != nil && r.sched.Named("a") == nil })
}

func TestWrongFileOfInstancesIsFoundAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instances.yaml")
	os.WriteFile(path, []byte("instances:\n  - {ulr: 'http://127.0.0.1:7'}"), 0o600)
	config := filepath.Join(t.TempDir(), "p.yaml")
	os.WriteFile(config, []byte("discovery: {file: "+path+"}"), 0o600)
	p := start(t, "serve", "-c", config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	if status := p.end(); status != exitUsage || !strings.Contains(p.errs.String(), path+":2: instances[0].ulr: unknown key (did you mean \"url\"?)") {
		t.Errorf("exit status %d, %s", status, &p.errs)
	}
}

func TestEngineServicesFileRegistersItsPortAndModel(t *testing.T) {
	c := registerCmd{Scheduler: []string{"http://127.0.0.1:8081"}, Config: filepath.Join("..", "..", "scripts", "e2e", "fixtures", "llm-service.json")}
	r, err := c.registrar(c.Scheduler[0], quiet)
	if err != nil {
		t.Fatal(err)
	}
	if r.body["url"] != "http://127.0.0.1:8000" || r.body["models"].([]string)[0] != "llama2" {
		t.Errorf("announces %v", r.body)
	}
}

// logOf runs penstock register with what it logs.
func logOf(t *testing.T, schedulers ...string) (log *lockedBuffer, stop func() error) {
	t.Helper()
	log = new(lockedBuffer)
	var all registrars
	for _, s := range schedulers {
		r, err := (&registerCmd{Scheduler: schedulers, Instance: "http://127.0.0.1:1", Name: "a"}).registrar(s, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- all.run(ctx) }()
	return log, func() error { cancel(); return receive(t, ended, "the end of register") }
}

func TestOneRegistrationWithEachRouter(t *testing.T) {
	first, second := registering(t, "discovery: {register: {}}"), registering(t, "discovery: {register: {}}")
	wrong := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }))
	defer wrong.Close()
	log, stop := logOf(t, first.adminURL(), wrong.URL, "http://127.0.0.1:1", second.adminURL())
	for _, r := range []*router{first, second} {
		until(t, "the registration", func() bool { return r.sched.Named("a") != nil })
	}
	until(t, "what is wrong", func() bool {
		return strings.Contains(log.String(), "level=ERROR msg=\"given up here; the other routers are not concerned\" scheduler="+wrong.URL) &&
			strings.Contains(log.String(), `level=WARN msg="the scheduler cannot be reached; trying again" scheduler=http://127.0.0.1:1 err="dial tcp`)
	})
	if err := stop(); err == nil {
		t.Error("one was refused for good, and that is no failure")
	}
	for _, r := range []*router{first, second} {
		until(t, "its end", func() bool { return r.sched.Named("a") == nil })
	}
}

func TestRepeatedSchedulersAreAllTaken(t *testing.T) {
	f := func(status int, want string, args ...string) {
		t.Helper()
		got, _, errs := command(append([]string{"register", "--instance", "http://127.0.0.1:1"}, args...)...)
		if got != status || !strings.Contains(errs, want) {
			t.Errorf("%v: status %d, %s, want %d with %s", args, got, errs, status, want)
		}
	}
	f(2, `--scheduler: "b:1": need a URL`, "--scheduler", "http://a:1", "--scheduler", "b:1")
	f(2, "--scheduler: need the router's admin port", "--name", "a")
}

func TestRegistrationThatTheRouterLostIsMadeAnewAndSaid(t *testing.T) {
	r := registering(t, "discovery: {register: {ttl: 1s}}")
	log, stop := logOf(t, r.adminURL())
	until(t, "the registration", func() bool { return strings.Contains(log.String(), "msg=registered") })
	if !r.sources.registry.Delete("a", "") { // as after its ttl, while the process was frozen
		t.Error("it was not there")
	}
	until(t, "the next", func() bool { return strings.Count(log.String(), "msg=registered") == 2 })
	if !strings.Contains(log.String(), "level=WARN msg=\"the scheduler had let the registration go") {
		t.Errorf("logged %s", log)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestDataPortIsToldFromTheAdminPort(t *testing.T) {
	r := registering(t, "discovery: {register: {}}")
	data := r.urls()[0]
	log, stop := logOf(t, data)
	until(t, "the refusal", func() bool { return strings.Contains(log.String(), "status=404") })
	if want := "level=WARN msg=\"the scheduler refuses; trying again\" scheduler=" + data + " status=404 reason=\"" + data + " is no admin port"; !strings.Contains(log.String(), want) {
		t.Errorf("logged %s, want %s", log, want)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestWhatGoesWrongIsSaidAgainEachMinute(t *testing.T) {
	var log lockedBuffer
	r := &registrar{log: slog.New(slog.NewTextHandler(&log, nil))}
	synctest.Test(t, func(t *testing.T) {
		for range 50 {
			r.complain("refused", "why")
			time.Sleep(2 * time.Second)
		}
		r.complain("refused", "another why")
	})
	got := log.String()
	for _, want := range []string{"tries=1\n", "tries=31\n", "tries=51\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q: %s", want, got)
		}
	}
	if strings.Count(got, "\n") != 3 {
		t.Errorf("logged %s", got)
	}
}

// It has no answers under way that might finish.
func TestRegisterSaysWhatASignalMeans(t *testing.T) {
	var log lockedBuffer
	ctx, end := untilSignal(slog.New(slog.NewTextHandler(&log, nil)), "taking the registration back")
	defer end()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	receive(t, ctx.Done(), "the end")
	if got := log.String(); !strings.Contains(got, `msg="taking the registration back; a second signal ends at once" signal=terminated`) || strings.Contains(got, "draining") {
		t.Errorf("logged %s", got)
	}
}
