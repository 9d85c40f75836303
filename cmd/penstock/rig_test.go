package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"penstock/bench/sim"
)

// patience bounds every wait; none is expected to last.
const patience = 20 * time.Second

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// engines starts n simulated ones that answer at once.
func engines(t *testing.T, n int) (urls []string) {
	t.Helper()
	c := sim.DefaultConfig()
	c.Listen, c.Instances, c.Profile, c.Model = "127.0.0.1:0", n, "instant", "m"
	fleet, err := sim.Start(c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fleet.Close() })
	return fleet.URLs()
}

// process is a command that runs beside the test.
type process struct {
	t      *testing.T
	lines  chan string // of standard output
	status chan int
	errs   bytes.Buffer // to be read after the end
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, lines: make(chan string, 100), status: make(chan int, 1)}
	r, w := io.Pipe()
	go func() {
		p.status <- run(args, w, &p.errs)
		w.Close()
	}()
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			p.lines <- s.Text()
		}
		close(p.lines)
	}()
	return p
}

// line waits for the next one of standard output.
func (p *process) line() string {
	p.t.Helper()
	return receive(p.t, p.lines, "a line")
}

// end waits for the exit status.
func (p *process) end() int {
	p.t.Helper()
	return receive(p.t, p.status, "the end")
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}
