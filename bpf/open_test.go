package bpf

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func nobody(func(int, uint64, *unix.TCPInfo)) {}

func TestLadder(t *testing.T) {
	f := func(mode Mode, cgroup string, sample bool, want Mode, lines ...string) {
		t.Helper()
		var log bytes.Buffer
		o := Options{Mode: mode, Cgroup: cgroup, Rows: 8, Log: slog.New(slog.NewTextHandler(&log, nil))}
		if sample {
			o.Sample = nobody
		}
		s := Open(o)
		defer s.Close()
		if s.Mode() != want {
			t.Errorf("asked for %s: got %s, want %s", mode, s.Mode(), want)
		}
		said := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(said) != len(lines)+1 {
			t.Errorf("asked for %s: said %d lines, want %d:\n%s", mode, len(said), len(lines)+1, log.String())
		}
		for i, line := range lines {
			if i < len(said) && !strings.Contains(said[i], line) {
				t.Errorf("asked for %s: said %s, want %s in it", mode, said[i], line)
			}
		}
	}
	f(Off, "", true, Off)
	f(TCPInfo, "", true, TCPInfo)
	f(TCPInfo, "", false, Off, "mode=tcp_info") // asked for, so it is said
	if os.Geteuid() != 0 {
		return
	}
	f(Auto, "", true, Sockops)
	f("", "", false, Sockops)
	f(Sockops, "", false, Sockops)
	f(Tracepoints, "", false, Tracepoints)
	f(Auto, t.TempDir(), true, Tracepoints, "is no cgroup")
	f(Sockops, filepath.Join(t.TempDir(), "no", "such"), true, Tracepoints, "mode=sockops")
}

func TestProbeLeavesNothingBehind(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads programs into the kernel")
	}
	before, err := ownCgroup()
	if err != nil {
		t.Fatal(err)
	}
	if mode, why := Probe(); mode != Sockops || why != "" {
		t.Errorf("%s: %s", mode, why)
	}
	if after, _ := ownCgroup(); after != before {
		t.Errorf("the process is in %s, was in %s", after, before)
	}
	if _, err := os.Stat(filepath.Join(before, cgroupName(os.Getpid()))); !os.IsNotExist(err) {
		t.Error("the cgroup is still there")
	}
}

func TestCgroupMount(t *testing.T) {
	f := func(mounts, want string) {
		t.Helper()
		if got, err := cgroupMount(mounts); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", mounts, got, err, want)
		}
	}
	const v1 = "30 25 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:10 - cgroup cgroup rw,cpu\n"
	f(v1+"41 25 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified")
	f("41 25 0:37 / /sys/fs/cgroup rw,nosuid shared:9 master:2 - cgroup2 none rw,nsdelegate", "/sys/fs/cgroup")
	f(`41 25 0:37 / /my\040groups rw - cgroup2 none rw`, "/my groups")
	f(v1, "")
	f("", "")
	f("41 25 - cgroup2 none rw\n\n - ", "")
}

func TestLeftCgroupIsSwept(t *testing.T) {
	home, err := ownCgroup()
	if err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and cgroup v2: ", err)
	}
	const gone = 1 << 22 // one more than the largest pid
	dir := filepath.Join(home, cgroupName(gone))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	open(t, Sockops, nil)
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there", dir)
	}
}

const startedEnv = "PENSTOCK_TEST_STARTED"

// A gateway that another one started (an upgrade in place) gets a cgroup beside
// the other's, not in it: the other is to be able to remove its own.
func TestCgroupOfTheUpgraded(t *testing.T) {
	if os.Getenv(startedEnv) != "" {
		s := Open(Options{Mode: Sockops, Rows: 8})
		fmt.Printf("in %s\n", s.(*sockops).cgroup.path)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	s := open(t, Sockops, nil)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestCgroupOfTheUpgraded$")
	cmd.Env = append(os.Environ(), startedEnv+"=1")
	out, err := cmd.CombinedOutput()
	want := filepath.Join(filepath.Dir(s.(*sockops).cgroup.path), cgroupName(cmd.ProcessState.Pid()))
	if err != nil || !strings.Contains(string(out), "in "+want+"\n") {
		t.Errorf("want %s in\n%s%v", want, out, err)
	}
}
