package bpf

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// needs are the capabilities of the rungs with programs in the kernel.
var needs = map[Mode][]capability{
	Sockops:     {capBPF, capNetAdmin},
	Tracepoints: {capBPF, capPerfmon},
}

type capability struct {
	name string
	bit  int
}

var (
	capNetAdmin = capability{"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}
	capPerfmon  = capability{"CAP_PERFMON", unix.CAP_PERFMON}
	capBPF      = capability{"CAP_BPF", unix.CAP_BPF}
)

// cure says what an operator can do about a rung that does not work.
func cure(m Mode, err error) string {
	var path *fs.PathError
	var refused *ebpf.VerifierError
	switch missing := missingCapabilities(needs[m]); {
	case errors.Is(err, errNoSample):
		return "none: this process has no pool of connections"
	case errors.Is(err, errNoCgroup):
		return "mount cgroup v2, at /sys/fs/cgroup or /sys/fs/cgroup/unified"
	case errors.Is(err, errNoBTF):
		return "a kernel with CONFIG_DEBUG_INFO_BTF"
	case len(missing) > 0:
		return "give the process " + strings.Join(missing, " and ") + " (docs/kernel.md)"
	case errors.As(err, &path):
		return "write access to the cgroup: Delegate=yes in the systemd unit, or kernel.cgroup (docs/kernel.md)"
	case errors.As(err, &refused): // it says EACCES too
		return "a newer kernel"
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		return "none: this kernel is hardened, or a cgroup above allows no program below it; kernel.mode can ask for a lower rung at once"
	case m == Tracepoints:
		return "a kernel of 5.12 or later"
	default:
		return "a kernel of 5.9 or later"
	}
}

// missingCapabilities looks at the effective set in /proc/self/status.
func missingCapabilities(want []capability) []string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	_, after, _ := strings.Cut(string(status), "CapEff:\t")
	line, _, _ := strings.Cut(after, "\n")
	set, err := strconv.ParseUint(line, 16, 64)
	if err != nil {
		return nil
	}
	if set&(1<<unix.CAP_SYS_ADMIN) != 0 { // what these two were part of before 5.8
		set |= 1<<capBPF.bit | 1<<capPerfmon.bit
	}
	var missing []string
	for _, c := range want {
		if set&(1<<c.bit) == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// oneLine is an error without what the verifier has to say after the first line.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	line, _, _ = strings.Cut(line, " (MEMLOCK may be too low") // the library's guess; memory is the cgroup's since 5.11
	const most = 300
	if len(line) > most {
		line = line[:most] + "…"
	}
	return line
}
