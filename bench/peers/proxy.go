package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"penstock/bench/loopback"
)

// proxy is one program under measurement.
type proxy struct {
	name   string
	binary string
	// arguments writes what configuration the program needs into dir and gives
	// its command line.
	arguments func(dir string, listen netip.AddrPort, engines []netip.AddrPort) ([]string, error)
}

const (
	direct = "direct" // no proxy: the clients talk to the first engine
	startTimeout,
	stopTimeout = 20 * time.Second, 5 * time.Second
	// clockTick is the unit of CPU time in /proc: USER_HZ is 100 on every Linux
	// that Go runs on.
	clockTick = 10 * time.Millisecond
)

// process is a proxy that runs.
type process struct {
	addr  netip.AddrPort
	cmd   *exec.Cmd // nil: no proxy
	ended chan struct{}
	log   bytes.Buffer // to be read once it has ended
}

// start runs the proxy on one core and waits until it answers.
func (p proxy) start(dir string, core int, engines []netip.AddrPort) (*process, error) {
	if p.name == direct {
		return &process{addr: engines[0]}, nil
	}
	at, err := loopback.Free(1)
	if err != nil {
		return nil, err
	}
	args, err := p.arguments(dir, at[0], engines)
	if err != nil {
		return nil, fmt.Errorf("configuring %s: %w", p.name, err)
	}
	r := &process{addr: at[0]}
	r.cmd = exec.Command("taskset", append([]string{"-c", strconv.Itoa(core), p.binary}, args...)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", p.name, err)
	}
	r.ended = make(chan struct{})
	go func() { defer close(r.ended); _ = r.cmd.Wait() }()
	if err := r.waitReady(); err != nil {
		r.stop()
		return nil, fmt.Errorf("%s: %w; it said: %s", p.name, err, r.log.String())
	}
	return r, nil
}

func (r *process) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var last error
	for ctx.Err() == nil {
		select {
		case <-r.ended:
			return fmt.Errorf("ended at once: %v", r.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.addr.String()+"/health", nil)
		response, err := client.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("/health answers %s", response.Status)
		}
		last = err
	}
	return fmt.Errorf("not ready within %v: %w", startTimeout, last)
}

func (r *process) stop() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(stopTimeout, func() { _ = r.cmd.Process.Kill() })
	defer timer.Stop()
	<-r.ended
}

// cpu is the user and system time that the process has used.
func (r *process) cpu() (time.Duration, error) {
	if r.cmd == nil {
		return 0, nil
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", r.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading CPU time: %w", err)
	}
	// The second field, the command's name, may hold spaces: count from its end.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// rss is the resident memory of the process in bytes.
func (r *process) rss() (int64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", r.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("reading resident memory: %w", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(statm))[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading resident memory: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// writeConfig writes a configuration file and gives its path.
func writeConfig(dir, name, text string) (string, error) {
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
