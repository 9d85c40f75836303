package sim

import (
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

func TestConsecutivePorts(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Instances = 3 })
	seen := map[string]bool{}
	for n, url := range r.URLs() {
		response, err := r.client.Get(url + "/health")
		if err != nil {
			t.Fatalf("instance %d: %v", n, err)
		}
		response.Body.Close()
		seen[url] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d ports, want 3", len(seen))
	}
}

// One port of several is taken: nothing is left of those that were not.
func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	before := runtime.NumGoroutine()
	c := DefaultConfig()
	c.Listen, c.Instances = net.JoinHostPort("127.0.0.1", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port-1)), 2
	if _, err := Start(c, slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("got %v, want an address in use", err)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines, %d before", now, before)
	}
}

func TestCloseTwice(t *testing.T) {
	r := newRig(t, slow)
	s := r.open("/v1/completions", long)
	if _, err := s.next(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := r.stats(); got.InFlight != 0 || got.Running != 0 {
		t.Errorf("after its end: %+v", got)
	}
	s.leave()
}
