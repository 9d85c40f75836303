package scheduler

import (
	"context"
	"errors"
	"net"
	"slices"
	"syscall"
	"testing"
)

// dualStack is a name with two addresses, of which the engine listens on some.
func dualStack(t *testing.T) (r resolver, s *Scheduler, i *Instance, listens func(...string)) {
	t.Helper()
	s = fleetOf(t, 0, "round-robin")
	set(t, s, "file", []InstanceConfig{{URL: "http://gpu.rack:8000", Name: "a"}}, "a starting")
	var takes []string
	s.fleet.connect = func(_ context.Context, addr string) error {
		if slices.Contains(takes, addr) {
			return nil
		}
		return syscall.ECONNREFUSED
	}
	r = resolver{func(context.Context, string) ([]string, error) { return []string{"::1", "127.0.0.1"}, nil }}
	return r, s, s.Named("a"), func(addrs ...string) { takes = addrs }
}

func TestDualStackNameIsReachedWhereItListens(t *testing.T) {
	r, s, i, listens := dualStack(t)
	f := func(want string) {
		t.Helper()
		if got := i.Addr(); got != want {
			t.Errorf("dials %s, want %s", got, want)
		}
	}
	r.round(t.Context(), s)
	f("gpu.rack:8000") // nobody is there yet: the dialer tries both
	listens("127.0.0.1:8000")
	r.retry(t.Context(), s)
	f("127.0.0.1:8000")
	i.recovered()
	listens("127.0.0.1:8000", "[::1]:8000")
	r.round(t.Context(), s)
	f("127.0.0.1:8000")
}

func TestNextAddressIsTakenWhereTheOneInUseIsRefused(t *testing.T) {
	r, s, i, listens := dualStack(t)
	moved := 0
	s.OnMoved(func(*Instance) { moved++ })
	listens("127.0.0.1:8000", "[::1]:8000")
	r.round(t.Context(), s)
	i.recovered()
	if got := i.Addr(); got != "[::1]:8000" {
		t.Fatalf("dials %s", got)
	}
	listens("127.0.0.1:8000") // it was restarted with another --host
	r.retry(t.Context(), s)
	if got := i.Addr(); got != "[::1]:8000" {
		t.Errorf("dials %s though all is well", got)
	}
	i.Failed(Refused, "")
	r.retry(t.Context(), s)
	if got := i.Addr(); got != "127.0.0.1:8000" || moved != 1 {
		t.Errorf("dials %s after %d moves", got, moved)
	}
}

func TestConnectSaysWhetherSomebodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t.Context(), ln.Addr().String()); err != nil {
		t.Error(err)
	}
	ln.Close()
	if err := connect(t.Context(), ln.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}
