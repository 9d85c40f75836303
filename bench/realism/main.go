package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/schollz/progressbar/v3"
)

// options are the flags.
type options struct {
	vllm, model, penstock string
	keep, from            string
	only                  string
	tries                 int
}

func parse() (o options) {
	flag.StringVar(&o.vllm, "vllm", ".cache/vllm-venv/bin/vllm", "the program of vLLM")
	flag.StringVar(&o.model, "model", ".cache/tiny-model", "the model's folder")
	flag.StringVar(&o.penstock, "penstock", "bin/penstock", "the binary of Penstock")
	flag.StringVar(&o.keep, "keep", "", "a file for what is measured")
	flag.StringVar(&o.from, "from", "", "such a file, instead of an engine")
	flag.StringVar(&o.only, "only", "model,index", "the part that is wanted")
	flag.IntVar(&o.tries, "tries", 3, "how often a load is measured at most while other programs use the machine")
	flag.Parse()
	return o
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, parse()); err != nil {
		fmt.Fprintln(os.Stderr, "realism:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if strings.Contains(o.only, "model") {
		if err := o.compareModel(ctx); err != nil {
			return err
		}
	}
	if strings.Contains(o.only, "index") {
		return o.compareIndex(ctx)
	}
	return nil
}

// outcome is a load and what was measured of it.
type outcome struct {
	Load     string
	Asks     []ask
	Measured []seen
	Others   float64 // share of the machine that other programs took meanwhile
}

func (o *options) compareModel(ctx context.Context) error {
	all, err := o.outcomes(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "fitting the model's constants to", all[0].Load)
	p, err := fit(sizes, all[0].Asks, all[0].Measured, 6)
	if err != nil {
		return err
	}
	var rows []row
	for _, m := range all {
		told, err := replay(p, m.Asks)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Load, err)
		}
		rows = append(rows, newRow(&m, told))
	}
	return print(os.Stdout, &p, rows)
}

// outcomes are measured, or were.
func (o *options) outcomes(ctx context.Context) (all []outcome, err error) {
	if o.from != "" {
		b, err := os.ReadFile(o.from)
		if err == nil {
			err = json.Unmarshal(b, &all)
		}
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("%s: nothing was measured", o.from)
		}
		return all, err
	}
	dir, err := os.MkdirTemp("", "realism")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	engines, err := startEngines(ctx, o, dir, 1)
	if err != nil {
		return nil, err
	}
	defer engines[0].stop()
	for n := range loads {
		m, err := loads[n].measured(ctx, engines[0], max(o.tries, 1))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", loads[n].Name, err)
		}
		all = append(all, m)
	}
	return all, o.save(all)
}

func (o *options) save(all []outcome) error {
	if o.keep == "" {
		return nil
	}
	for n := range all { // their tokens say it as well
		for k := range all[n].Asks {
			all[n].Asks[k].Messages = nil
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(o.keep, b, 0o644)
}

// startEngines starts so many, and waits for all.
func startEngines(ctx context.Context, o *options, dir string, count int) (all []*engine, err error) {
	defer func() {
		if err != nil {
			for _, e := range all {
				e.stop()
			}
		}
	}()
	for n := range count {
		e, err := startEngine(ctx, o.vllm, o.model, dir, n)
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	fmt.Fprintf(os.Stderr, "starting %d vLLM, about a minute\n", count)
	for _, e := range all {
		if err := e.ready(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

// measured is the load as the engine saw it with the least of them beside.
func (l *load) measured(ctx context.Context, e *engine, tries int) (best outcome, err error) {
	for n := range tries {
		m, err := l.measure(ctx, e, n)
		if err != nil {
			return m, err
		}
		if n == 0 || m.Others < best.Others {
			best = m
		}
		if best.Others <= tooBusy {
			break
		}
		fmt.Fprintf(os.Stderr, "%s: other programs took %.0f %% of the machine\n", l.Name, 100*m.Others)
	}
	return best, nil
}

// measure asks the engine, after a few requests for its first times.
func (l *load) measure(ctx context.Context, e *engine, try int) (outcome, error) {
	d := l.dice(try)
	m := outcome{Load: l.Name, Asks: l.asks(d)}
	for n := range m.Asks {
		if err := e.tokenize(ctx, &m.Asks[n]); err != nil {
			return m, err
		}
	}
	c := newClient(e.url, served)
	for range 10 {
		a := chat(d, "", 100, 20)
		if _, err := c.ask(ctx, &a, ""); err != nil {
			return m, err
		}
	}
	var answered atomic.Int64
	done := progress(l.Name, len(m.Asks), &answered)
	defer done()
	before, err := usageOf(e.cmd.Process.Pid)
	if err != nil {
		return m, err
	}
	m.Measured, err = c.play(ctx, m.Asks, &answered)
	m.settle()
	if err != nil {
		return m, err
	}
	after, err := usageOf(e.cmd.Process.Pid)
	m.Others = after.others(before)
	return m, err
}

// settle has the asks come when they came.
func (m *outcome) settle() {
	for n := range m.Asks {
		m.Asks[n].At += m.Measured[n].Late
	}
	// A client that was late for several may have sent them in another order.
	order := make([]int, len(m.Asks))
	for n := range order {
		order[n] = n
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.Asks[a].At, m.Asks[b].At) })
	asks, measured := m.Asks, m.Measured
	m.Asks, m.Measured = make([]ask, len(asks)), make([]seen, len(asks))
	for to, from := range order {
		m.Asks[to], m.Measured[to] = asks[from], measured[from]
	}
}

// progress shows how much of a load is answered, until it is told to stop.
func progress(name string, of int, answered *atomic.Int64) (done func()) {
	bar := progressbar.NewOptions(of, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetWidth(24), progressbar.OptionSetDescription(name), progressbar.OptionClearOnFinish())
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = bar.Set64(answered.Load()) // it is only a look
			case <-stop:
				_ = bar.Finish()
				return
			}
		}
	}()
	return func() { close(stop); <-over }
}
