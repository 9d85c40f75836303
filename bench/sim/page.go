package sim

import (
	"net/http"
	"slices"
	"strings"

	"penstock/bench/model"
	"penstock/scheduler/telemetry"
)

// family is one metric of an engine's page.
type family struct {
	name, kind, help string
	write            func(p *page, name string)
}

// page is one answer to a scrape.
type page struct {
	telemetry.Writer
	instance *Instance
	stats    model.Stats
	labels   []string
}

// value is a family of one sample.
func value(name, kind, help string, v func(p *page) float64) family {
	return family{name, kind, help, func(p *page, name string) { p.Sample(name, v(p), p.labels...) }}
}

// split is a family with a sample for each value of one more label.
func split(name, kind, help, label string, values []string, v func(p *page, n int) float64) family {
	return family{name, kind, help, func(p *page, name string) {
		for n, text := range values {
			p.Sample(name, v(p, n), append(slices.Clone(p.labels), label, text)...)
		}
	}}
}

// spread is a family that is a histogram.
func spread(name, help string, h func(m *meter) *telemetry.Histogram) family {
	return family{name, "histogram", help, func(p *page, name string) { p.Histogram(name, h(&p.instance.meter), p.labels...) }}
}

// metrics is the whole page. Until vLLM 0.5 it was at /metrics/ only.
func (i *Instance) metrics(w http.ResponseWriter, r *http.Request) {
	if i.dialect.redirects {
		w.Header().Set("Location", "/metrics/")
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	i.writeMetrics(w, nil)
}

// exporter is the page of the Python client's own exporter, which knows the
// filter name[]; /metrics without the slash ignores it (real-engines.md, "The
// lean scrape").
func (i *Instance) exporter(w http.ResponseWriter, r *http.Request) {
	i.writeMetrics(w, r.URL.Query()["name[]"])
}

func (i *Instance) writeMetrics(w http.ResponseWriter, names []string) {
	stats, ok := i.shownStats(w)
	if !ok {
		return
	}
	p := page{instance: i, stats: stats, labels: i.dialect.labels(i.config.Model)}
	renamed := i.hasFault(faultMetricsRenamed)
	for _, f := range i.dialect.families {
		if renamed {
			f.name = strings.Replace(f.name, ":", ":engine_", 1)
		}
		if names == nil || f.named(names) {
			p.Family(f.name, f.kind, f.help)
			f.write(&p, f.name)
		}
	}
	replyBytes(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", p.Bytes())
}

// named reports whether one of a filter's names is a sample's of f.
func (f *family) named(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		return n == f.name || (f.kind == "histogram" && (n == f.name+"_bucket" || n == f.name+"_sum" || n == f.name+"_count"))
	})
}

// shownStats are the figures that a page shows, or it has answered in its place.
func (i *Instance) shownStats(w http.ResponseWriter) (s model.Stats, ok bool) {
	switch f, _ := i.fault.get(); f.Kind {
	case faultMetricsGone:
		i.fail(w, errorOf(http.StatusNotFound, "Not Found"))
		return s, false
	case faultMetricsFrozen:
		return *i.frozen.Load(), true
	}
	return i.modelStats(), true
}

func (i *Instance) hasFault(kind string) bool {
	f, _ := i.fault.get()
	return f.Kind == kind
}

func (i *Instance) modelStats() model.Stats {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.engine.Stats()
}
