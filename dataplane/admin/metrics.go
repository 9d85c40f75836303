package admin

import (
	"bytes"
	"cmp"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"penstock/bpf"
	"penstock/scheduler/telemetry"
)

// Build is what the binary says of itself.
type Build struct{ Version, Commit string }

// Collect writes the whole page: the gateway's, the scheduler's and the
// process's own metrics.
func (s *Server) Collect(w *telemetry.Writer) {
	s.Gateway.Collect(w)
	s.Scheduler.Collect(w)
	s.collectDiscovery(w)
	if s.Recorder != nil {
		s.Recorder.Collect(w)
	}
	w.Family("penstock_kernel_source", "gauge", "1 at the rung that the kernel's counters come from.")
	for _, mode := range bpf.Modes {
		on := int64(0)
		if mode == cmp.Or(s.Kernel, bpf.Off) {
			on = 1
		}
		w.Int("penstock_kernel_source", on, "mode", string(mode))
	}
	w.Family("penstock_build_info", "gauge", "1; the labels say which build this is.")
	w.Int("penstock_build_info", 1, "version", s.Build.Version, "commit", s.Build.Commit, "goversion", runtime.Version())
	s.collectProcess(w)
}

// collectProcess writes what every process has, under the names that
// Prometheus' clients use. The metrics library's own page of them has names
// that promtool frowns at.
func (s *Server) collectProcess(w *telemetry.Writer) {
	gauge := func(name, help string, v float64) {
		w.Family(name, "gauge", help)
		w.Sample(name, v)
	}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil {
		w.Family("process_cpu_seconds_total", "counter", "CPU time of the process, user and system.")
		w.Sample("process_cpu_seconds_total", seconds(usage.Utime)+seconds(usage.Stime))
	}
	if pages, ok := residentPages(); ok {
		gauge("process_resident_memory_bytes", "Memory that the process has resident.", float64(pages*os.Getpagesize()))
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		gauge("process_open_fds", "Descriptors that the process has open.", float64(len(open)-1)) // less the one that reads this
	}
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		gauge("process_max_fds", "Descriptors that the process may have open.", float64(limit.Cur))
	}
	gauge("process_start_time_seconds", "When the process started, since 1970.", float64(s.start.UnixMilli())/1e3)
	gauge("go_goroutines", "Goroutines that exist now.", float64(runtime.NumGoroutine()))
	gauge("go_gomaxprocs", "Threads that may run Go code at once.", float64(runtime.GOMAXPROCS(0)))
}

func seconds(t syscall.Timeval) float64 { return time.Duration(t.Nano()).Seconds() }

// residentPages is the second number of /proc/self/statm.
func residentPages() (int, bool) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0, false
	}
	n, err := strconv.Atoi(string(fields[1]))
	return n, err == nil
}
