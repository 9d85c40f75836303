package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/cmd/penstock/config"
)

// registering is a router with no instance that others may register with.
func registering(t *testing.T, text string) *router {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, config.Flags{Listen: []string{"127.0.0.1:0"}, Admin: "127.0.0.1:0"})
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
	r, err := c.registrar(quiet)
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
	stop := register(t, registerCmd{Scheduler: r.adminURL(), Instance: engines(t, 1)[0], Name: "gpu-1", TokenFile: token})
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
	c := registerCmd{Scheduler: r.adminURL(), Instance: "http://127.0.0.1:1"}
	g, err := c.registrar(quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.run(t.Context()); err == nil || !strings.Contains(err.Error(), "(401): need the token") {
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
		got, said := fetch(t, "POST", r.adminURL()+"/api/v1/instances", body)
		if got != status || !strings.Contains(said, want) {
			t.Errorf("%s: %d %s, want %d with %q", body, got, said, status, want)
		}
	}
	f(`{"url":"http://127.0.0.1:7"}`, 201, `"name": "127.0.0.1:7"`)
	f(`{"url":"http://127.0.0.1:7"}`, 200, `"ttl_ms": 15000`)
	f(`{"url":"http://127.0.0.1:7","name":"x","models":["m"],"engine":"sglang"}`, 200, `"name": "x"`)
	f(`{"url":"http://127.0.0.1:8","name":"x"}`, 409, "registered under this name")
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
	c := registerCmd{Scheduler: "http://127.0.0.1:8081", Config: filepath.Join("..", "..", "scripts", "e2e", "fixtures", "llm-service.json")}
	r, err := c.registrar(quiet)
	if err != nil {
		t.Fatal(err)
	}
	if r.body["url"] != "http://127.0.0.1:8000" || r.body["models"].([]string)[0] != "llama2" {
		t.Errorf("announces %v", r.body)
	}
}
