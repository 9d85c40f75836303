package scheduler

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync/atomic"

	"penstock/scheduler/engine"
	"penstock/scheduler/telemetry"
)

// Instance is one engine process behind one address. Its identity never
// changes; the rest is atomics and a health with a lock of its own.
type Instance struct {
	ID     int    // dense, the index in Scheduler.Instances
	Name   string // unique
	URL    string // http://host:port
	Addr   string // to dial: host:port
	Host   string // the Host header
	APIKey string // goes to the engine; empty: none

	maxInFlight int64 // 0: learned
	row         row
	said        said
	ramp        ramp
	health      health

	models  atomic.Pointer[[]engine.Model] // nil: not heard yet
	kind    atomic.Pointer[engine.Kind]
	heardAt atomic.Int64 // when the report in said was asked for, ns since 1970; 0: never

	picked       telemetry.Counter
	failed       [failures]telemetry.Counter
	ejected      [failures]telemetry.Counter
	scrapes      *telemetry.Histogram
	scrapeErrors telemetry.Counter

	log  *slog.Logger
	free func() // tells whoever holds requests that there may be room
	kick chan struct{}
}

// newInstance checks the configuration of one.
func newInstance(id int, cfg InstanceConfig, log *slog.Logger, free func()) (*Instance, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("instance %s: %w", cfg.Name, err)
	}
	if u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("instance %s: %q: need a URL such as http://10.0.0.11:8000", cfg.Name, u.Redacted())
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	i := &Instance{
		ID: id, Name: cfg.Name, URL: cfg.URL, Host: u.Host, APIKey: cfg.APIKey,
		Addr: net.JoinHostPort(u.Hostname(), port), maxInFlight: int64(cfg.MaxInFlight),
		scrapes: telemetry.NewHistogram(scrapeBounds), log: log.With("instance", cfg.Name), free: free,
		kick: make(chan struct{}, 1),
	}
	kind := cfg.Engine
	i.kind.Store(&kind)
	return i, nil
}

// scrapeBounds are few: they are multiplied by the number of instances.
var scrapeBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1}

// Context is the longest context of what the instance serves, in tokens; 0: it
// did not say.
func (i *Instance) Context() (longest int) {
	if models := i.models.Load(); models != nil {
		for _, m := range *models {
			longest = max(longest, m.MaxLen)
		}
	}
	return longest
}

// wake makes the keeper look at once.
func (i *Instance) wake() {
	select {
	case i.kick <- struct{}{}:
	default:
	}
}
