package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var errNoCgroup = errors.New("no cgroup v2 is mounted")

// cgroup is the directory of cgroup v2 whose sockets are counted.
type cgroup struct {
	path string
	made bool     // by us, to be removed
	held *os.File // locked while we count here: two would count everything twice
	home string   // where this process was before; "": it has not moved
}

// enterCgroup moves this process into the cgroup at path, made where it does
// not exist; "" makes a child of the one it is in. Sockets belong to the cgroup
// in which they were made, so this comes before the first listener.
func enterCgroup(path string, move bool, log *slog.Logger) (*cgroup, error) {
	home, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	if path == "" {
		parent := home
		if pid, ok := cgroupPID(home); ok && pid != os.Getpid() {
			parent = filepath.Dir(home) // started by another of us, which an upgrade soon ends
		}
		sweepCgroups(parent, log)
		path = filepath.Join(parent, cgroupName(os.Getpid()))
	}
	c, err := openCgroup(filepath.Clean(path))
	if errors.Is(err, unix.EWOULDBLOCK) { // another gateway counts there
		c, err = openCgroup(filepath.Join(path, cgroupName(os.Getpid())))
	}
	if err != nil {
		return nil, err
	}
	if c.path == home || !move {
		return c, nil
	}
	if err := moveTo(c.path); err != nil {
		return nil, errors.Join(err, c.leave())
	}
	c.home = home
	return c, nil
}

// openCgroup makes the cgroup where it does not exist, and takes it for us alone.
func openCgroup(path string) (*cgroup, error) {
	c := &cgroup{path: path}
	switch err := os.Mkdir(path, 0o755); {
	case err == nil:
		c.made = true
	case !errors.Is(err, os.ErrExist):
		return nil, fmt.Errorf("making a cgroup: %w", err)
	}
	if _, err := os.Stat(filepath.Join(path, "cgroup.procs")); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is no cgroup: %w", path, err), c.leave())
	}
	var err error
	if c.held, err = os.Open(path); err == nil {
		err = unix.Flock(int(c.held.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking the cgroup %s: %w", path, err), c.leave())
	}
	return c, nil
}

// leave moves this process back and removes the cgroup if it was made here.
func (c *cgroup) leave() error {
	var errs []error
	if c.home != "" {
		if err := moveTo(c.home); err != nil {
			errs = append(errs, err)
		}
	}
	if c.held != nil {
		c.held.Close()
	}
	if c.made {
		if err := os.Remove(c.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing the cgroup: %w", err))
		}
	}
	return errors.Join(errs...)
}

func moveTo(path string) error {
	pid := strconv.Itoa(os.Getpid())
	if err := os.WriteFile(filepath.Join(path, "cgroup.procs"), []byte(pid), 0); err != nil {
		return fmt.Errorf("moving this process to the cgroup %s: %w", path, err)
	}
	return nil
}

const cgroupPrefix = "penstock-"

// cgroupName tells processes apart, in all PID namespaces.
func cgroupName(pid int) string { return cgroupPrefix + namespace("pid") + "-" + strconv.Itoa(pid) }

// cgroupPID is the reverse of cgroupName, for a process that we can see.
func cgroupPID(path string) (pid int, ok bool) {
	number, ok := strings.CutPrefix(filepath.Base(path), cgroupPrefix+namespace("pid")+"-")
	pid, err := strconv.Atoi(number)
	return pid, ok && err == nil
}

// sweepCgroups removes what processes that were killed left behind. One that
// still has a process in it cannot be removed, and is not.
func sweepCgroups(parent string, log *slog.Logger) {
	left, _ := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	for _, dir := range left {
		if pid, ok := cgroupPID(dir); !ok || alive(pid) {
			continue
		}
		if os.Remove(dir) == nil {
			log.Debug("kernel: removed the cgroup of a process that is gone", "cgroup", dir)
		}
	}
}

func alive(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return !errors.Is(err, os.ErrNotExist)
}

// ownCgroup returns the directory of this process's cgroup v2, which in hybrid
// mode is mounted beside the others.
func ownCgroup() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("finding cgroup v2: %w", err)
	}
	root, err := cgroupMount(string(mounts))
	if err != nil {
		return "", err
	}
	of, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("finding this process's cgroup: %w", err)
	}
	for line := range strings.Lines(string(of)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return filepath.Join(root, path), nil
		}
	}
	return "", errNoCgroup
}

// cgroupMount takes the first mount of type cgroup2 from mountinfo (proc(5)):
// id parent device root where options ... - type source options.
func cgroupMount(mounts string) (string, error) {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if ok && len(fields) >= 5 && strings.HasPrefix(after, "cgroup2 ") {
			return strings.ReplaceAll(fields[4], `\040`, " "), nil
		}
	}
	return "", errNoCgroup
}
