package scheduler

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/url"
	"sync/atomic"
	"time"
	"unsafe"

	"penstock/scheduler/engine"
	"penstock/scheduler/predict"
	"penstock/scheduler/prefix"
	"penstock/scheduler/telemetry"
)

// Instance is one engine process behind one address. Its identity never
// changes; the rest is atomics and a health with a lock of its own.
type Instance struct {
	row row
	_   [lineSize - unsafe.Sizeof(row{})%lineSize]byte

	// What decisions read and requests do not write: a few lines, so that a
	// fleet of hundreds is looked through quickly by a CPU that did something else.
	options  options
	rates    atomic.Pointer[predict.Rates] // as they are shared with those alike
	trust    trust
	crowd    crowd
	draining atomic.Uint32 // drainAsked, drainRemoved
	ramp     ramp
	slot     prefix.Slot // in the scheduler's index
	said     said
	health   health // its beginning

	Name   string // unique
	URL    string // http://host:port
	Host   string // the Host header
	APIKey string // goes to the engine; empty: none

	address address
	kept    bool // has a keeper; fleet.mu guards it
	wanted  bool // some source names it; fleet.mu guards it

	speed  predict.Speed
	wire   *wire
	strand strand

	ring        *ring // its places, for chwbl
	sized       int64 // the KV capacity that it was given in the index, in tokens; the keeper's
	cacheSaid   evidence
	ceiling     ceiling     // the keeper's
	tellsCached atomic.Bool // in the usage of its answers

	signals  [signalCount]signal
	evidence atomic.Pointer[string] // what people have to know of them; nil: nothing

	models   atomic.Pointer[[]engine.Model] // nil: not heard yet
	kind     atomic.Pointer[engine.Kind]
	version  atomic.Pointer[string] // of the engine; nil: not heard
	heardAt  atomic.Int64           // when the report in said was asked for, ns since 1970; 0: never
	outdated atomic.Bool            // it said that it serves something else

	failed       [failures]atomic.Uint64
	ejected      [failures]atomic.Uint64
	scrapes      *telemetry.Histogram
	scrapeErrors atomic.Uint64

	log   *slog.Logger
	fleet *fleet
	free  func() // tells whoever holds requests that there may be room
	lost  func() // what it had cached
	kick  chan struct{}
}

// options are what may be said of an instance beside its URL. A URL whose
// options change is another instance.
type options struct {
	maxInFlight  int64 // 0: learned; first: decisions read it
	name, apiKey string
	engine       engine.Kind
}

// check says what is wrong with the configuration of an instance, and returns
// its URL, parsed.
func (s *Scheduler) check(cfg InstanceConfig) (*url.URL, error) {
	if err := cfg.validate(s.cfg.Engines); err != nil {
		return nil, fmt.Errorf("instance %w", err)
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("instance %s: %w", cfg.Name, err)
	}
	if u.Scheme != "http" || u.Hostname() == "" {
		return nil, fmt.Errorf("instance %s: %q: need a URL such as http://10.0.0.11:8000", cfg.Name, u.Redacted())
	}
	return u, nil
}

func (s *Scheduler) options(cfg InstanceConfig) options {
	return options{
		name: cfg.Name, apiKey: cfg.APIKey, maxInFlight: int64(cfg.MaxInFlight),
		engine: cmp.Or(cfg.Engine, s.cfg.Engine, engine.Auto),
	}
}

// newInstance makes one of a configuration that was checked.
func (s *Scheduler) newInstance(cfg InstanceConfig) *Instance {
	u, err := s.check(cfg)
	if err != nil {
		panic(err)
	}
	i := &Instance{
		Name: cfg.Name, URL: cfg.URL, Host: u.Host, APIKey: cfg.APIKey, options: s.options(cfg),
		scrapes: telemetry.NewHistogram(scrapeBounds), log: newRation(s.log.With("instance", cfg.Name)),
		fleet: &s.fleet, wire: &s.wire, free: s.free, kick: make(chan struct{}, 1),
	}
	i.address.init(u.Hostname(), cmp.Or(u.Port(), "80"))
	i.kind.Store(&i.options.engine)
	if len(cfg.Models) > 0 {
		var models []engine.Model
		for _, id := range cfg.Models {
			models = append(models, engine.Model{ID: id})
		}
		i.models.Store(&models)
	}
	i.ring = newRing(i.Name)
	i.lost = func() { s.cached.Clear(i.slot) }
	i.doubt()
	i.begin(s.typical.Load())
	s.openCache(i)
	i.health.mu.Lock()
	defer i.health.mu.Unlock()
	i.health.since = time.Now()
	i.count()
	return i
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

// Addr is where to dial: host:port, with the host's address where it is known.
func (i *Instance) Addr() string { return i.address.dial() }

// AskModels says that a request was answered as if the instance served
// something else than it said: it is asked again soon.
func (i *Instance) AskModels() {
	if !i.outdated.Swap(true) {
		i.wake()
	}
}

// wake makes the keeper look at once.
func (i *Instance) wake() {
	select {
	case i.kick <- struct{}{}:
	default:
	}
}
