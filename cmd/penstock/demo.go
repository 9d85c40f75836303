package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"penstock/bench/demo"
	"penstock/cmd/penstock/config"
)

type demoCmd struct {
	For *time.Duration `placeholder:"TIME" help:"End by itself after so long, 3s or more, with a summary. (until Ctrl-C)"`
}

// shortestDemo leaves the killed engine time to come back.
const shortestDemo = 3 * time.Second

func (c *demoCmd) Run(out io.Writer) error {
	if c.For != nil && *c.For < shortestDemo {
		return usage(fmt.Errorf("--for: %v is too short for the story: need %v or more", *c.For, shortestDemo))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	engines, err := demo.StartEngines()
	if err != nil {
		return err
	}
	defer engines.Close()
	cfg, err := demoConfig(out, engines)
	if err != nil {
		return err
	}
	r, err := newRouter(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return c.show(ctx, out, engines, r)
}

// show runs the router, and the demo in front of it once it is ready.
func (c *demoCmd) show(ctx context.Context, out io.Writer, engines *demo.Engines, r *router) error {
	routing, stopRouting := context.WithCancel(context.Background())
	defer stopRouting()
	ready := make(chan struct{})
	var routed error
	var router sync.WaitGroup
	router.Go(func() {
		routed = r.run(routing, func() { close(ready) })
		stopRouting()
	})
	select {
	case <-ready:
	case <-routing.Done():
		router.Wait()
		return routed
	}
	var end time.Duration
	if c.For != nil {
		end = *c.For
	}
	err := demo.Run(ctx, demo.Options{
		Engines: engines, For: end, Out: out, Size: terminalSize(out),
		Router: demo.Router{URL: r.urls()[0], Admin: r.adminURL(), Look: r.board},
	})
	stopRouting()
	router.Wait()
	if err != nil {
		return err
	}
	return routed
}

// demoConfig is everybody's configuration, but for ports that are in use.
func demoConfig(out io.Writer, engines *demo.Engines) (*config.Config, error) {
	// Engines and router share one process: the kernel could not tell them apart.
	cfg, err := config.Load("", config.Flags{Instances: engines.URLs(), DrainTimeout: "2s", Kernel: "off"})
	if err != nil {
		return nil, err
	}
	for i, name := range engines.Names() {
		cfg.Scheduler.Instances[i].Name = name
	}
	cfg.Gateway.Listen[0] = free(out, cfg.Gateway.Listen[0])
	cfg.Admin = free(out, cfg.Admin)
	return cfg, nil
}

// free is addr, or any port of its host where that is in use.
func free(out io.Writer, addr string) string {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		ln.Close()
		return addr
	}
	fmt.Fprintf(out, "%s is in use: the demo takes another port\n", addr)
	host, _, _ := net.SplitHostPort(addr) // addr is a default: it has two parts
	return net.JoinHostPort(host, "0")
}

// board is what the demo shows of the router.
func (r *router) board() demo.Board {
	st := r.gateway.Stats()
	b := demo.Board{
		Requests: st.Requests, Retries: st.Retries, OutputTokens: st.OutputTokens,
		Inside: st.Current, Pending: st.Pending, TTFTP50: st.TTFT.P50, TTFTP99: st.TTFT.P99,
	}
	for _, i := range r.sched.Instances() {
		s := i.Status()
		b.Engines = append(b.Engines, demo.Engine{
			Name: i.Name, State: s.State.String(), Running: s.Running, Waiting: s.Waiting,
			KVUsage: s.KVUsage, InFlight: s.InFlight, Requests: s.Requests,
		})
	}
	return b
}

// terminalSize tells the size of the terminal that out is; nil where it is none.
func terminalSize(out io.Writer) func() (columns, rows int) {
	f, ok := out.(*os.File)
	if !ok {
		return nil
	}
	size := func() (columns, rows int) {
		w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil || w.Col == 0 || w.Row == 0 {
			return 80, 24
		}
		return int(w.Col), int(w.Row)
	}
	if !isatty.IsTerminal(f.Fd()) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return size
}
