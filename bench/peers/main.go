package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// options are the flags.
type options struct {
	penstock, json string
	proxies, cases string
	rounds, core   int
	warm, window   time.Duration
	quick          bool
}

// bench is one run: the load and the engines, and what it measures.
type bench struct {
	options
	loop    *loop
	engines *engines
	proxies []proxy
	dir     string
}

const engineCount = 4

func main() {
	if err := run(parse()); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func parse() (o options) {
	flag.StringVar(&o.penstock, "penstock", "bin/penstock", "the binary of Penstock; left out when it does not exist")
	flag.StringVar(&o.json, "json", "", "write the results to this file too")
	flag.StringVar(&o.proxies, "proxies", "direct,haproxy,nginx,floor,penstock", "what to measure")
	flag.StringVar(&o.cases, "cases", "memory,unloaded,small,rate,large-20,large-100,streams", "how to measure it")
	flag.IntVar(&o.rounds, "rounds", 3, "interleaved rounds")
	flag.IntVar(&o.core, "core", 0, "the core of the proxy; the load gets the others")
	flag.DurationVar(&o.warm, "warm", 500*time.Millisecond, "time before a measurement")
	flag.DurationVar(&o.window, "window", 2*time.Second, "time of a measurement")
	flag.BoolVar(&o.quick, "quick", false, "one round of short measurements: about a minute")
	flag.Parse()
	if o.quick {
		o.rounds, o.warm, o.window = 1, 300*time.Millisecond, time.Second
	}
	return o
}

func run(o options) error {
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	if err := b.prepare(); err != nil {
		return err
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); b.loop.run(stop) }()
	defer func() { close(stop); <-stopped }()

	rp := newReport(o)
	for round := range o.rounds {
		for _, c := range cases {
			if !slices.Contains(strings.Split(o.cases, ","), c.name) {
				continue
			}
			for _, p := range b.proxies {
				if p.name == direct && !c.direct {
					continue
				}
				r, err := b.one(c, p)
				r.Case, r.Proxy, r.Round = c.name, p.name, round+1
				if err != nil {
					r.Error = err.Error()
				}
				rp.Results = append(rp.Results, r)
				fmt.Fprintln(os.Stderr, r)
			}
		}
	}
	rp.write(os.Stdout)
	if o.json != "" {
		return rp.save(o.json)
	}
	return nil
}

// one starts the proxy anew for the case: none runs beside another, and none
// has what an earlier case left in it.
func (b *bench) one(c benchCase, p proxy) (result, error) {
	process, err := p.start(b.dir, b.core, b.engines.addrs)
	if err != nil {
		return result{}, err
	}
	defer process.stop()
	return c.run(b, process)
}

func (b *bench) prepare() (err error) {
	if err := pinOthers(b.core); err != nil {
		return err
	}
	if err := raiseDescriptors(); err != nil {
		return err
	}
	// A collection would stop the load; a run allocates less than this.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(2 << 30)

	floor := filepath.Join(b.dir, "floor")
	build := exec.Command("go", "build", "-trimpath", "-o", floor, "penstock/bench/peers/floor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the floor proxy: %w: %s", err, out)
	}
	for _, p := range allProxies(floor, b.penstock) {
		if !slices.Contains(strings.Split(b.options.proxies, ","), p.name) {
			continue
		}
		if p.name != direct {
			if _, err := exec.LookPath(p.binary); err != nil {
				fmt.Fprintf(os.Stderr, "peers: %s is left out: %v\n", p.name, err)
				continue
			}
		}
		b.proxies = append(b.proxies, p)
	}
	if b.loop, err = newLoop(); err != nil {
		return err
	}
	b.engines, err = newEngines(b.loop, engineCount)
	return err
}

// pinOthers keeps this process off the proxy's core.
func pinOthers(core int) error {
	if runtime.NumCPU() < 2 {
		return fmt.Errorf("two cores are needed: one for the proxy, one for the load")
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return fmt.Errorf("reading the CPU affinity: %w", err)
	}
	set.Clear(core)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("listing the threads: %w", err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil {
			return fmt.Errorf("pinning thread %d: %w", id, err)
		}
	}
	return nil
}

// raiseDescriptors allows this process and the proxies as many descriptors as
// the system lets them have. Set explicitly: Go would give a child the old limit.
func raiseDescriptors() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the descriptor limit: %w", err)
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the descriptor limit: %w", err)
	}
	return nil
}

func newReport(o options) *report {
	var uts unix.Utsname
	_ = unix.Uname(&uts)
	procs := os.Getenv("GOMAXPROCS")
	if procs == "" {
		procs = "1" // what Go takes on one core
	}
	return &report{
		Kernel: unix.ByteSliceToString(uts.Release[:]), CPUs: runtime.NumCPU(), GoMaxProcs: procs,
		Rounds: o.rounds, WindowS: o.window.Seconds(),
	}
}
