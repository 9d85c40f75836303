package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"

	"penstock/bpf"
	"penstock/cmd/penstock/config"
	"penstock/dataplane"
	"penstock/dataplane/admin"
	"penstock/scheduler"
	"penstock/scheduler/record"
)

// router is the parts of one process, wired: the scheduler, the gateway that
// asks it, and the admin port that shows both.
type router struct {
	kernel  bpf.Source
	sched   *scheduler.Scheduler
	sources *discoverers
	gateway *dataplane.Gateway
	admin   *admin.Server
	push    admin.Push
	records *record.Recorder // nil: decisions are not recorded in a file
	adminLn net.Listener
	log     *slog.Logger
}

// newRouter makes the parts, and takes the admin port: a port that is in use
// should be found before anything runs.
func newRouter(cfg *config.Config, log *slog.Logger) (*router, error) {
	ln, err := net.Listen(tcpOf(cfg.Admin), cfg.Admin)
	if err != nil {
		return nil, hinted(fmt.Errorf("listening on the admin port %s: %w", cfg.Admin, cause(err)), "--admin")
	}
	r := &router{adminLn: ln, log: log}
	if err := r.wire(cfg, log); err != nil {
		ln.Close()
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *router) wire(cfg *config.Config, log *slog.Logger) (err error) {
	if r.sched, err = scheduler.New(cfg.Scheduler, log); err != nil {
		return err
	}
	if r.sources, err = newDiscoverers(cfg, r.sched, log); err != nil {
		return err
	}
	if r.gateway, err = dataplane.New(cfg.Gateway, r.sched, log); err != nil {
		return err
	}
	// Before anything listens or connects: it counts what comes after it.
	r.kernel = bpf.Open(bpf.Options{
		Mode: bpf.Mode(cfg.Kernel.Mode), Cgroup: cfg.Kernel.Cgroup, Pin: cfg.Kernel.Pin, Sample: r.gateway.Sample, Log: log,
	})
	r.sched.Hear(r.kernel)
	if r.kernel.Mode() != bpf.Off {
		r.gateway.Hear()
	}
	ring, err := r.remember(cfg)
	if err != nil {
		return err
	}
	r.admin = admin.New(admin.Options{
		Gateway: r.gateway, Scheduler: r.sched, Kernel: r.kernel.Mode(), Build: admin.Build{Version: version, Commit: commit}, Host: cfg.Admin,
		YAML: cfg.Effective(), JSON: cfg.EffectiveJSON(), Log: log,
		Decisions: ring, Recorder: r.records,
		Registration: r.sources.registration(cfg), Discovery: r.sources.standing,
	})
	r.push = admin.Push{URLs: cfg.Push.URLs, Every: cfg.Push.Every, Labels: cfg.Push.Labels, From: r.admin, Log: log}
	return nil
}

// remember has the last decisions kept, and all of them recorded if there is a
// file for them.
func (r *router) remember(cfg *config.Config) (ring *record.Ring, err error) {
	keys := []string{""}
	for _, k := range cfg.Gateway.Auth.Keys {
		keys = append(keys, k.Name)
	}
	slots := record.Slots
	if cfg.Record != "" {
		slots = record.RecorderSlots
	}
	ring = record.NewRing(slots, keys, cfg.Record != "")
	if cfg.Record != "" {
		r.records, err = record.NewRecorder(cfg.Record, ring, r.log)
	}
	r.sched.Record(ring)
	return ring, err
}

// cause leaves the address out of a listener's error: the sentence around it
// has it.
func cause(err error) error {
	var at *net.OpError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// hinted says what helps where a port is taken.
func hinted(err error, flag string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w (another penstock? choose another with %s)", err, flag)
	}
	return err
}

// tcpOf keeps an IPv4 address to IPv4: "tcp" makes 0.0.0.0 a socket for IPv6
// too, and shows it as [::].
func tcpOf(address string) string {
	host, _, _ := net.SplitHostPort(address)
	if net.ParseIP(host).To4() != nil {
		return "tcp4"
	}
	return "tcp"
}

// adminURL is the admin port's, as a browser of this machine can open it.
func (r *router) adminURL() string { return "http://" + reachable(r.adminLn.Addr()) }

// reachable is addr with a host to connect to, where it names all of them.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}

// urls are where the data port listens, once the gateway is ready.
func (r *router) urls() []string {
	var urls []string
	for _, a := range r.gateway.Addrs() {
		if a.Network() == "unix" {
			urls = append(urls, "unix:"+a.String())
		} else {
			urls = append(urls, "http://"+a.String())
		}
	}
	return urls
}

// run serves until ctx ends and everything is drained; ready is called once
// the data port listens. Scraping and the admin port go on during the drain.
func (r *router) run(ctx context.Context, ready func()) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	beside, stopBeside := context.WithCancel(context.Background())
	sources := r.sources.runs()
	errs := make([]error, 3+len(sources))
	var parts sync.WaitGroup
	part := func(n int, run func(context.Context) error) {
		parts.Go(func() {
			if errs[n] = run(beside); errs[n] != nil {
				stopServing()
			}
		})
	}
	greeted := make(chan struct{})
	afterwards := func(run func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) error { <-greeted; return run(ctx) }
	}
	part(1, afterwards(r.sched.Run)) // what these have to say comes after the greeting
	part(2, func(ctx context.Context) error { return r.admin.Serve(ctx, r.adminLn) })
	for n, run := range sources {
		part(3+n, afterwards(run))
	}
	parts.Go(func() { r.push.Run(beside) })
	if r.records != nil {
		parts.Go(func() { r.records.Run(beside) })
	}
	parts.Go(func() {
		defer close(greeted)
		select {
		case <-r.gateway.Ready():
			ready()
		case <-beside.Done():
		}
	})
	errs[0] = hinted(r.gateway.Serve(serving), "--listen")
	stopBeside()
	parts.Wait()
	r.close()
	return cmp.Or(errs...)
}

// close gives back what outlives the run. The connections are closed by then.
func (r *router) close() {
	if r.kernel == nil {
		return
	}
	if err := r.kernel.Close(); err != nil {
		r.log.Warn("leaving the kernel's part", "err", err)
	}
}
