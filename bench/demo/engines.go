package demo

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"penstock/bench/sim"
)

// fleet is three engines of one kind, and one that is slower.
var fleet = []struct {
	name string
	slow float64 // times as slow as the others
}{
	{"gpu-1", 1}, {"gpu-2", 1}, {"gpu-3", 1}, {"gpu-4", 2},
}

// victim is the one that dies.
const victim = 2

// Model is what the engines serve.
const Model = "llama2"

// Engines are the simulated engines, on loopback.
type Engines struct {
	fleets    []*sim.Fleet // of one instance each: their speeds differ
	instances []*sim.Instance
}

// StartEngines makes them listen, on ports that are free.
func StartEngines() (*Engines, error) {
	e := &Engines{}
	for _, f := range fleet {
		c := sim.DefaultConfig()
		c.Listen, c.Model, c.TimeScale = "127.0.0.1:0", Model, 1/f.slow
		// Small enough for a burst from one laptop to fill them.
		c.MaxNumSeqs, c.KVBlocks, c.MaxModelLen = 24, 1500, 8192
		one, err := sim.Start(c, slog.New(slog.NewTextHandler(io.Discard, nil)))
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("engine %s: %w", f.name, err)
		}
		e.fleets = append(e.fleets, one)
		e.instances = append(e.instances, one.Instances()[0])
	}
	return e, nil
}

// Names are the engines' names, in the order of URLs.
func (e *Engines) Names() []string {
	var names []string
	for _, f := range fleet {
		names = append(names, f.name)
	}
	return names
}

// URLs are where they listen.
func (e *Engines) URLs() []string {
	var urls []string
	for _, i := range e.instances {
		urls = append(urls, i.URL())
	}
	return urls
}

// kill does to the victim's clients what kill -9 would: its connections are
// reset, new ones are refused. It keeps its port, so that it can come back.
func (e *Engines) kill() error {
	return errors.Join(e.instances[victim].Inject(sim.Fault{Kind: "reset"}), e.instances[victim].Inject(sim.Fault{Kind: "refuse"}))
}

func (e *Engines) revive() error { return e.instances[victim].Heal() }

// Close ends them all.
func (e *Engines) Close() error {
	var errs []error
	for _, f := range e.fleets {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
