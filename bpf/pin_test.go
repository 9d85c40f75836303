package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// mountBPF mounts a bpffs of its own and returns a directory on it.
func mountBPF(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts a bpffs")
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "penstock")
}

func pinnedAt(dir string) func(*Options) { return func(o *Options) { o.Pin = dir } }

func TestPinnedCountersGoOn(t *testing.T) {
	dir := mountBPF(t)
	p := newPeer(t, "tcp4", "127.0.0.1:0")
	other := netip.MustParseAddrPort("10.1.2.3:4")

	first := open(t, Sockops, pinnedAt(dir))
	row := track(t, first, p.addr)
	ours, theirs := p.dial()
	pass(t, ours, theirs, 100)
	ours.Close()
	theirs.Close()
	before := until(t, first, row, "the connection is over", func(c Counters) bool { return c.Active == 0 && c.BytesOut >= 100 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, Sockops, pinnedAt(dir))
	if r := track(t, second, other); r == row {
		t.Errorf("row %d was given away twice", r)
	}
	if r := track(t, second, p.addr); r != row {
		t.Fatalf("row %d, was %d", r, row)
	}
	if c := counters(second, row); c.Total != 1 || c.BytesOut < before.BytesOut {
		t.Errorf("after the restart: %+v; before: %+v", c, before)
	}
	p.dial()
	if c := counters(second, row); c.Total != 2 || c.Active != 1 {
		t.Errorf("after the restart: %+v", c)
	}
	second.Untrack(row)
	if r := track(t, second, p.addr); r != row {
		t.Errorf("row %d, was %d", r, row)
	}
	for _, pin := range []string{"sockops-*", "release-*"} {
		if links, _ := filepath.Glob(filepath.Join(dir, pin)); len(links) != 1 {
			t.Errorf("pinned while it runs: %v", links)
		}
	}
}

func TestPinnedMapsOfAnotherLayoutAreReplaced(t *testing.T) {
	dir := mountBPF(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Pin(filepath.Join(dir, "rows-"+layout)); err != nil {
		t.Fatal(err)
	}
	s := open(t, Sockops, pinnedAt(dir))
	p := newPeer(t, "tcp4", "127.0.0.1:0")
	row := track(t, s, p.addr)
	p.dial()
	if c := counters(s, row); c.Active != 1 {
		t.Errorf("the row says %+v", c)
	}
}

func TestPinWhereThereIsNoBPFFS(t *testing.T) {
	s := open(t, Sockops, pinnedAt(filepath.Join(t.TempDir(), "pins")))
	p := newPeer(t, "tcp4", "127.0.0.1:0")
	row := track(t, s, p.addr)
	p.dial()
	if c := counters(s, row); c.Active != 1 {
		t.Errorf("the row says %+v", c)
	}
}

const killedEnv = "PENSTOCK_TEST_KILLED"

// A gateway that is killed cannot detach anything: its programs stay with its
// cgroup, count its connections out, and the next gateway removes them.
func TestKilledGatewayLeavesNoActiveConnections(t *testing.T) {
	if arg := os.Getenv(killedEnv); arg != "" {
		dieWithConnections(t, arg)
	}
	dir := mountBPF(t)
	p := newPeer(t, "tcp4", "127.0.0.1:0")
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledGatewayLeavesNoActiveConnections$")
	cmd.Env = append(os.Environ(), killedEnv+"="+dir+" "+p.addr.String())
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "active 5") || cmd.ProcessState.Exited() {
		t.Fatalf("the gateway was not killed with 5 connections: %v\n%s", err, out)
	}
	s := open(t, Sockops, pinnedAt(dir))
	if left, err := os.Stat(filepath.Join(filepath.Dir(s.(*sockops).cgroup.path), cgroupName(cmd.Process.Pid))); err == nil {
		t.Errorf("the cgroup %s of the killed is still there", left.Name())
	}
	row := track(t, s, p.addr)
	c := until(t, s, row, "the connections of the killed are counted out", func(c Counters) bool { return c.Active == 0 })
	if c.Total != 5 || c.Resets != 0 {
		t.Errorf("the row says %+v", c)
	}
	if links, _ := filepath.Glob(filepath.Join(dir, "sockops-*")); len(links) != 1 {
		t.Errorf("programs: %v, want this process's alone", links)
	}
}

func dieWithConnections(t *testing.T, arg string) {
	dir, addr, _ := strings.Cut(arg, " ")
	s := Open(Options{Mode: Sockops, Pin: dir, Rows: 64})
	row := track(t, s, netip.MustParseAddrPort(addr))
	for range 5 {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		a := netip.MustParseAddrPort(addr)
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("active %d\n", counters(s, row).Active)
	unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}

// Fleets whose addresses come and go must not use up the rows for good.
func TestPinnedRowsOfGoneAddressesAreGivenAgain(t *testing.T) {
	dir := mountBPF(t)
	s := open(t, Sockops, func(o *Options) { o.Pin, o.Rows = dir, 64 })
	p := newPeer(t, "tcp4", "127.0.0.1:0")
	kept := track(t, s, p.addr)
	p.dial()
	for n := range 200 {
		row, err := s.Track(netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:8000", n+1)))
		if err != nil {
			t.Fatalf("address %d, with one tracked: %v", n, err)
		}
		if row == kept {
			t.Fatal("a row that is tracked was given away")
		}
		s.Untrack(row)
	}
	until(t, s, kept, "it is still counted", func(c Counters) bool { return c.Active == 1 })
}

// A bpffs is often writable for everybody: who made the directory first could
// hold its lock, or put maps of his own there.
func TestPinsOfOthersAreNotUsed(t *testing.T) {
	f := func(name, want string, spoil func(dir string)) {
		t.Run(name, func(t *testing.T) {
			dir := mountBPF(t)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			spoil(dir)
			var log strings.Builder
			s := open(t, Sockops, func(o *Options) {
				o.Pin, o.Log = dir, slog.New(slog.NewTextHandler(&log, nil))
			})
			if s.Mode() != Sockops || !strings.Contains(log.String(), "counters will not outlive this process") || !strings.Contains(log.String(), want) {
				t.Errorf("%s, after %s", s.Mode(), &log)
			}
			track(t, s, netip.MustParseAddrPort("10.0.0.1:1"))
		})
	}
	f("writable", "writable for others", func(dir string) { os.Chmod(dir, 0o777) })
	f("another's", "belongs to the user 65534", func(dir string) { os.Chown(dir, 65534, 65534) })
	f("locked", "locking the pinned maps", func(dir string) {
		d, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
	})
}

// Two gateways that count in one cgroup would count everything twice.
func TestOneCgroupIsForOneGateway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes cgroups")
	}
	home, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, fmt.Sprintf("penstock-test-%d", os.Getpid()))
	first, err := enterCgroup(path, false, discard)
	if err != nil {
		t.Fatal(err)
	}
	second, err := enterCgroup(path, false, discard)
	if err != nil {
		t.Fatal(err)
	}
	if first.path != path || filepath.Dir(second.path) != path {
		t.Errorf("%s and %s", first.path, second.path)
	}
	if err := errors.Join(second.leave(), first.leave()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

var discard = slog.New(slog.DiscardHandler)
