package bpf

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// layout is part of the names of what is pinned: another layout, other maps.
const layout = "1"

// pins is a directory of a bpffs that holds what outlives this process.
//
//	rows-1-NET, addresses-1-NET          shared by all gateways of a network
//	                                     namespace: in another, the same address
//	                                     is another engine
//	sockops-PIDS-PID, release-PIDS-PID   the links of a gateway that runs, so that
//	                                     its connections are counted out even if
//	                                     it is killed; PIDS is its PID namespace
//
// A nil *pins pins nothing.
type pins struct {
	dir string
}

// openPins makes the directory where need be; the one above must be there.
func openPins(dir string, log *slog.Logger) (*pins, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(filepath.Clean(dir)), &fs); err != nil {
		return nil, fmt.Errorf("looking at %s for pinned maps: %w", filepath.Dir(dir), err)
	}
	if fs.Type != unix.BPF_FS_MAGIC {
		return nil, fmt.Errorf("%s is not on a bpffs: mount -t bpf bpf /sys/fs/bpf", dir)
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("making the directory for pinned maps: %w", err)
	}
	if err := ours(dir); err != nil {
		return nil, err
	}
	p := &pins{dir: dir}
	p.sweep(log)
	return p, nil
}

// ours refuses a directory that somebody else could put his own maps into: a
// bpffs is often writable for everybody.
func ours(dir string) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is no directory", dir)
	case int(st.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to the user %d, not to us", dir, st.Uid)
	case st.Mode&0o022 != 0:
		return fmt.Errorf("%s is writable for others: chmod go-w", dir)
	}
	return nil
}

// namespace is the number of this process's namespace of a kind.
func namespace(kind string) string {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/"+kind, &st) != nil {
		return "0"
	}
	return strconv.FormatUint(st.Ino, 10)
}

// sweep removes the links of processes that are gone. By now the kernel has
// closed their sockets.
func (p *pins) sweep(log *slog.Logger) {
	for _, name := range []string{linkName("sockops", ""), linkName("release", "")} {
		left, _ := filepath.Glob(filepath.Join(p.dir, name+"*"))
		for _, path := range left {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), name))
			if err != nil || alive(pid) {
				continue
			}
			if os.Remove(path) == nil {
				log.Debug("kernel: removed the program of a process that is gone", "pin", path)
			}
		}
	}
}

// share returns the pinned map of this name, a new one where there is none or
// one of another layout.
func (p *pins) share(spec *ebpf.MapSpec, name string) (*ebpf.Map, error) {
	path := filepath.Join(p.dir, name+"-"+layout+"-"+namespace("net"))
	m, err := ebpf.LoadPinnedMap(path, nil)
	if err == nil {
		want := spec.MaxEntries
		spec.MaxEntries = m.MaxEntries() // whoever came first has said how many
		if spec.Compatible(m) == nil {
			return m, nil
		}
		spec.MaxEntries = want
		m.Close()
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing the pinned map of another layout: %w", err)
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("opening the pinned map %s: %w", path, err)
	}
	if m, err = ebpf.NewMap(spec); err != nil {
		return nil, fmt.Errorf("making the map %s: %w", name, err)
	}
	if err := m.Pin(path); err != nil {
		m.Close()
		return nil, fmt.Errorf("pinning the map %s: %w", name, err)
	}
	return m, nil
}

// lock keeps other gateways from giving rows away until unlock.
func (p *pins) lock() (unlock func(), err error) {
	d, err := os.Open(p.dir)
	if err != nil {
		return nil, fmt.Errorf("locking the pinned maps: %w", err)
	}
	for last := time.Now().Add(lockPatience); ; time.Sleep(lockAgain) {
		if err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return func() { d.Close() }, nil
		}
		if time.Now().After(last) {
			d.Close()
			return nil, fmt.Errorf("locking the pinned maps: %w", err)
		}
	}
}

// A lock is held for microseconds. Who holds it longer does not mean well.
const (
	lockPatience = time.Second
	lockAgain    = 20 * time.Millisecond
)

func linkName(program, pid string) string { return program + "-" + namespace("pid") + "-" + pid }

func (p *pins) pinLink(name string, l link.Link) error {
	if p == nil {
		return nil
	}
	path := filepath.Join(p.dir, linkName(name, strconv.Itoa(os.Getpid())))
	os.Remove(path)
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pinning the %s program: %w", name, err)
	}
	return nil
}

func (p *pins) unpinLink(l link.Link) error {
	if p == nil {
		return nil
	}
	return l.Unpin()
}
