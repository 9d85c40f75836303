package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"penstock/cmd/penstock/config"
	"penstock/scheduler/engine"
)

// routerFlags are the flags that serve and check share; each is stronger than
// the file.
type routerFlags struct {
	Config       string   `short:"c" placeholder:"FILE" help:"Configuration: YAML, or the managed service's JSON. (none)"`
	Instance     []string `sep:"none" placeholder:"URL" help:"An engine, such as http://10.0.0.11:8000; repeat for more. Enough without any file. (none)"`
	Listen       []string `sep:"none" placeholder:"ADDR" help:"Data port: host:port or unix:/path; repeat for more. (127.0.0.1:8080)"`
	Admin        string   `placeholder:"ADDR" help:"Metrics and API. (127.0.0.1:8081)"`
	Engine       string   `placeholder:"KIND" help:"${engines}. (auto)"`
	Policy       string   `placeholder:"NAME" help:"Who gets a request: ${policies}. (predictive)"`
	Kernel       string   `placeholder:"MODE" help:"Where the kernel's counters come from: auto, sockops, tracepoints, tcp_info, off. (auto)"`
	LogLevel     string   `placeholder:"LEVEL" help:"debug, info, warn, error. (info)"`
	LogFormat    string   `placeholder:"FORMAT" help:"text, json. (text)"`
	DrainTimeout string   `placeholder:"TIME" help:"How long answers under way may take after SIGTERM. (30s)"`
}

// engineNames lists the engines for the help.
func engineNames() string {
	var names []string
	for _, k := range engine.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

func (f *routerFlags) flags() config.Flags {
	return config.Flags{
		Listen: f.Listen, Admin: f.Admin, Instances: f.Instance, Engine: f.Engine, Policy: f.Policy,
		Kernel: f.Kernel, LogLevel: f.LogLevel, LogFormat: f.LogFormat, DrainTimeout: f.DrainTimeout,
	}
}

type serveCmd struct {
	routerFlags
	Record string `placeholder:"FILE" help:"Record every decision in FILE, for penstock replay. At 512 MiB it becomes FILE.1, in the place of the one before. (none)"`
}

// Help is more of serve --help.
func (serveCmd) Help() string {
	return "Example: penstock serve --instance http://10.0.0.11:8000 --policy p2c"
}

func (c *serveCmd) Run(out io.Writer) error {
	cfg, err := config.Load(c.Config, c.flags())
	if err != nil {
		return c.logged(err, config.Log{Format: c.LogFormat}, os.Stderr)
	}
	cfg.Record = c.Record
	log := newLog(cfg.Log, os.Stderr)
	return c.logged(c.serve(out, cfg, log), cfg.Log, os.Stderr)
}

// loggedError was logged already.
type loggedError struct{ error }

func (e loggedError) Unwrap() error { return e.error }

// logged logs err where the log is JSON: who reads that expects nothing else.
func (c *serveCmd) logged(err error, l config.Log, to io.Writer) error {
	if err == nil || l.Format != "json" {
		return err
	}
	for _, one := range config.Parts(err) {
		newLog(l, to).Error(one.Error())
	}
	return loggedError{err}
}

func (c *serveCmd) serve(out io.Writer, cfg *config.Config, log *slog.Logger) error {
	for _, w := range append(cfg.Warnings, cautions(cfg)...) {
		log.Warn(w)
	}
	bound(cfg.Resources)
	r, err := newRouter(cfg, log)
	if err != nil {
		return err
	}
	ctx, end := untilSignal(log, "draining: answers under way may finish")
	defer end()
	return r.run(ctx, func() { greet(out, cfg, r, log) })
}

// greet says in one line what runs where: to people, or to the log where that
// is read by programs.
func greet(out io.Writer, cfg *config.Config, r *router, log *slog.Logger) {
	if cfg.Log.Format == "json" {
		log.Info("serving", "version", version, "urls", r.urls(), "instances", len(r.sched.Instances()), "policy", cfg.Scheduler.Policy, "admin", r.adminURL())
		return
	}
	if cfg.Log.Level >= slog.LevelError {
		return
	}
	all := r.sched.Instances()
	engines := fmt.Sprintf("%d engines", len(all))
	switch len(all) {
	case 0:
		engines = "no engine yet"
	case 1:
		engines = "the engine " + all[0].URL
	}
	fmt.Fprintf(out, "penstock %s: %s before %s by %s; state and metrics at %s/\n",
		version, strings.Join(r.urls(), ", "), engines, cfg.Scheduler.Policy, r.adminURL())
}

// cautions says which doors are open to more than this machine.
func cautions(cfg *config.Config) (list []string) {
	if len(cfg.Gateway.Auth.Keys) == 0 && slices.ContainsFunc(cfg.Gateway.Listen, isExposed) {
		list = append(list, "everybody who reaches the data port may use the engines: auth.keys_file would name who may")
	}
	if isExposed(cfg.Admin) {
		list = append(list, "the admin port has no authentication, and listens beyond loopback: let only operators reach it")
	}
	return list
}

func isExposed(listen string) bool {
	host, _, _ := net.SplitHostPort(listen)
	if host == "localhost" || strings.HasPrefix(listen, "unix:") {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err != nil || !ip.IsLoopback()
}

// untilSignal gives a context that SIGTERM or SIGINT ends, with what that means
// in words; a second one ends the process at once. end waits for the goroutine
// behind it.
func untilSignal(log *slog.Logger, words string) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2)
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case s := <-signals:
				heed(s, cancel, log, words)
			case <-over:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(over)
		<-ended
		cancel()
	}
}

func heed(s os.Signal, cancel context.CancelFunc, log *slog.Logger, words string) {
	switch s {
	case syscall.SIGHUP:
		log.Warn("SIGHUP: reloading is not there yet; nothing was changed")
	case syscall.SIGUSR2:
		log.Warn("SIGUSR2: upgrading in place is not there yet; nothing was changed")
	default:
		signal.Reset(syscall.SIGTERM, syscall.SIGINT) // the next one ends the process
		log.Info(words+"; a second signal ends at once", "signal", s.String())
		cancel()
	}
}

func newLog(cfg config.Log, to io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, opts))
	}
	return slog.New(slog.NewTextHandler(to, opts))
}

// bound keeps the process within what the configuration grants it.
func bound(r config.Resources) {
	if r.CPU > 0 {
		runtime.GOMAXPROCS(min(r.CPU, runtime.NumCPU()))
	}
	if r.Memory > 0 {
		debug.SetMemoryLimit(r.Memory)
	}
}
