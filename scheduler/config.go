package scheduler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"penstock/scheduler/engine"
)

// Config is everything that the scheduler can be told.
type Config struct {
	Instances []InstanceConfig
	Policy    string      // one of Policies
	Engine    engine.Kind // of instances that name none
	Late      bool        // hold what an instance could not begin yet, as long as that is better
	SLO       SLO
	Health    Health
	Scrape    Scrape
	Engines   []engine.Custom // kinds of the operator's own
}

// InstanceConfig is one engine process behind one address.
type InstanceConfig struct {
	URL         string // http://host:port
	Name        string // unique; in metrics, logs and the API
	APIKey      string // goes to the engine, whatever the client sent
	Engine      engine.Kind
	MaxInFlight int      // full at so many requests; 0: learned
	Models      []string // what it serves, until it says so itself
}

// SLO is what answers are promised to keep to.
type SLO struct {
	TTFT time.Duration // who cannot have a first token so soon is refused; 0: nobody is
	ITL  time.Duration // mean distance of two tokens
}

// usualSLO is what weighs first tokens against others where nothing is promised.
var usualSLO = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond}

// patience is how many distances between tokens are as bad as one first token.
func (o SLO) patience() float64 {
	if o.TTFT == 0 || o.ITL == 0 {
		o = usualSLO
	}
	return float64(o.TTFT) / float64(o.ITL)
}

// Health says how an instance's life is judged.
type Health struct {
	ConnectTimeout  time.Duration // of a TCP connection
	ResponseTimeout time.Duration // to an answer's first body byte; 0: none
	ProbeEvery      time.Duration // between two looks at /health
	Stall           time.Duration // nothing moves for so long: it hangs
}

// Scrape says how often an instance's metrics are read.
type Scrape struct {
	Every   time.Duration // 0: as often as costs the engine 2 % of its time
	Timeout time.Duration
}

// DefaultConfig is what INTERFACE.md promises where a file is silent.
func DefaultConfig() Config {
	return Config{
		Policy: predictive.name,
		Engine: engine.Auto,
		Late:   true,
		Health: Health{ConnectTimeout: time.Second, ProbeEvery: time.Second, Stall: 3 * time.Second},
		Scrape: Scrape{Timeout: time.Second},
	}
}

// Validate says all that is wrong with c, naming each key as it stands in a file.
func (c *Config) Validate() error {
	var all []error
	if _, ok := policyNamed(c.Policy); !ok {
		all = append(all, fmt.Errorf("policy: %q is none of %s", c.Policy, strings.Join(Policies(), ", ")))
	}
	if err := engine.CheckCustom(c.Engines); err != nil {
		all = append(all, fmt.Errorf("engines: %w", err))
	}
	if err := knownKind(c.Engine, c.Engines); err != nil {
		all = append(all, fmt.Errorf("engine: %w", err))
	}
	for _, b := range []struct {
		key          string
		v, low, high time.Duration
	}{
		{"slo.ttft", c.SLO.TTFT, 0, time.Hour},
		{"slo.itl", c.SLO.ITL, 0, time.Minute},
		{"health.connect_timeout", c.Health.ConnectTimeout, time.Millisecond, time.Minute},
		{"health.response_timeout", c.Health.ResponseTimeout, 0, 24 * time.Hour},
		{"health.probe_every", c.Health.ProbeEvery, 10 * time.Millisecond, time.Hour},
		{"health.stall", c.Health.Stall, 50 * time.Millisecond, time.Hour},
		{"scrape.every", c.Scrape.Every, 0, time.Hour},
		{"scrape.timeout", c.Scrape.Timeout, time.Millisecond, time.Minute},
	} {
		if b.v < b.low || b.v > b.high {
			all = append(all, fmt.Errorf("%s: %v is out of range: %v to %v", b.key, b.v, b.low, b.high))
		}
	}
	return errors.Join(append(all, c.validateInstances())...)
}

func (c *Config) validateInstances() error {
	names := make(map[string]bool, len(c.Instances))
	for n, i := range c.Instances {
		if i.Name == "" {
			return fmt.Errorf("instances: number %d has no name", n+1)
		}
		if err := i.validate(c.Engines); err != nil {
			return fmt.Errorf("instances: %w", err)
		}
		if names[i.Name] {
			return fmt.Errorf("instances: %s stands twice", i.Name)
		}
		names[i.Name] = true
	}
	return nil
}

// validate says what is wrong with an instance's options.
func (c *InstanceConfig) validate(custom []engine.Custom) error {
	if c.Name == "" {
		return fmt.Errorf("%s has no name", c.URL)
	}
	if c.MaxInFlight < 0 || c.MaxInFlight > 1<<20 {
		return fmt.Errorf("%s: max_in_flight %d is out of range: 0 to %d", c.Name, c.MaxInFlight, 1<<20)
	}
	if err := knownKind(c.Engine, custom); err != nil {
		return fmt.Errorf("%s: engine: %w", c.Name, err)
	}
	return nil
}

// knownKind refuses an engine that is neither in the table nor the operator's.
func knownKind(k engine.Kind, custom []engine.Custom) error {
	own := func(c engine.Custom) bool { return c.Name == string(k) }
	if k == "" || k.Known() || slices.ContainsFunc(custom, own) {
		return nil
	}
	return fmt.Errorf("%q is none of %v, nor named under engines", k, engine.Kinds())
}
