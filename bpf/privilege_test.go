package bpf

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	unprivilegedEnv = "PENSTOCK_TEST_UNPRIVILEGED"
	nobodyID        = 65534
)

// The least privilege that works, and what is said without: this test runs
// itself as nobody, with the capabilities that are to be enough.
func TestLeastPrivilege(t *testing.T) {
	if os.Getenv(unprivilegedEnv) != "" {
		countUnprivileged()
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: becomes somebody else")
	}
	home, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	// As systemd does with Delegate=yes and User=.
	delegated := filepath.Join(home, "delegated-"+fmt.Sprint(os.Getpid()))
	for _, err := range []error{
		os.Mkdir(delegated, 0o755),
		os.Chown(delegated, nobodyID, nobodyID),
		os.Chown(filepath.Join(delegated, "cgroup.procs"), nobodyID, nobodyID),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := os.Remove(delegated); err != nil {
			t.Error(err)
		}
	})
	f := func(cgroup string, caps []uintptr, want ...string) {
		t.Helper()
		out := runUnprivileged(t, cgroup, caps)
		for _, line := range want {
			if !strings.Contains(out, line) {
				t.Errorf("with capabilities %v: want %q in\n%s", caps, line, out)
			}
		}
	}
	const bpf, netAdmin, perfmon = unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON
	f(delegated, []uintptr{bpf, netAdmin}, "mode sockops, active 1")
	f(home, []uintptr{bpf, netAdmin, perfmon}, "Delegate=yes", "mode tracepoints, active 1")
	f(delegated, []uintptr{bpf, perfmon}, "give the process CAP_NET_ADMIN", "mode tracepoints, active 1")
	f(delegated, nil, "give the process CAP_BPF and CAP_NET_ADMIN", "give the process CAP_BPF and CAP_PERFMON", "mode tcp_info, active 0")
}

func runUnprivileged(t *testing.T, cgroup string, caps []uintptr) string {
	t.Helper()
	dir, err := os.Open(cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLeastPrivilege$")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), unprivilegedEnv+"=1", "GOCOVERDIR=")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential:  &syscall.Credential{Uid: nobodyID, Gid: nobodyID},
		AmbientCaps: caps,
		UseCgroupFD: true,
		CgroupFD:    int(dir.Fd()),
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as nobody with capabilities %v: %v\n%s", caps, err, out)
	}
	return string(out)
}

func countUnprivileged() {
	s := Open(Options{Rows: 8, Sample: nobody, Log: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	row, err := s.Track(ln.Addr().(*net.TCPAddr).AddrPort())
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		panic(err)
	}
	fmt.Printf("mode %s, active %d\n", s.Mode(), counters(s, row).Active)
	c.Close()
	ln.Close()
	if err := s.Close(); err != nil {
		panic(err)
	}
}
