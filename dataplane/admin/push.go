package admin

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"penstock/scheduler/telemetry"
)

// Push sends the metrics to stores that take Prometheus text.
type Push struct {
	URLs   []string
	Every  time.Duration
	Labels map[string]string // added to every series
	From   telemetry.Collector
	Log    *slog.Logger
}

// Run pushes until ctx ends, each store by its own goroutine, so that one that
// hangs does not stop another. What one push could not deliver the next does:
// all metrics are totals or of the moment.
func (p *Push) Run(ctx context.Context) {
	var stores sync.WaitGroup
	defer stores.Wait()
	for _, u := range p.URLs {
		stores.Go(func() { p.to(ctx, u) })
	}
}

func (p *Push) to(ctx context.Context, store string) {
	opts := &metrics.PushOptions{Method: "POST", ExtraLabels: extraLabels(p.Labels)}
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		try, cancel := context.WithTimeout(ctx, max(p.Every, time.Second))
		err := metrics.PushMetricsExt(try, store, p.write, opts)
		cancel()
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			p.Log.Warn("metrics cannot be pushed; every push tries again", "to", redacted(store), "err", clip(err.Error()))
		case err == nil && failing:
			p.Log.Info("metrics are pushed again", "to", redacted(store))
		}
		failing = err != nil
	}
}

func (p *Push) write(w io.Writer) {
	var page telemetry.Writer
	p.From.Collect(&page)
	w.Write(page.Bytes())
}

// extraLabels is `a="b",c="d"`.
func extraLabels(labels map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, name+"="+strconv.Quote(labels[name]))
	}
	return strings.Join(list, ",")
}

// clip bounds what a store's answer can put into the log.
func clip(s string) string {
	const most = 300
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// redacted hides what may be secret: a password, and all of the query.
func redacted(store string) string {
	u, err := url.Parse(store)
	if err != nil {
		return "a store"
	}
	u.RawQuery = ""
	return u.Redacted()
}
