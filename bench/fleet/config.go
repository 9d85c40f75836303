package fleet

import (
	"fmt"
	"time"

	"penstock/bench/model"
	"penstock/bench/workload"
	"penstock/scheduler"
)

// Config is one run.
type Config struct {
	Workload *workload.Workload
	Params   workload.Params
	Policy   string

	Instances int             // 0: as the workload was made for
	Profiles  []model.Profile // of the instances, in turn; none: the workload's
	Gateways  int             // each request comes to one of them by chance

	ScrapeEvery time.Duration // of each instance, by each gateway
	ScrapeCost  time.Duration // of the engine's time, each; the report comes so much later
	Delay       time.Duration // of the network between a gateway and an engine, one way
	Queue       int           // requests that a gateway holds at most; the next is rejected
	Failures    []Failure
	OneKey      bool    // gateways do not tell clients apart
	Early       bool    // gateways hold only what every instance is full for
	Shed        bool    // gateways refuse what cannot meet the objective
	Oracle      bool    // gateways know what each engine has in its cache
	TokenError  float64 // gateways guess a prompt's tokens wrong by up to this share
}

// SLO is what a good request keeps to. TPOT is the mean of a request's gaps.
type SLO struct {
	TTFT time.Duration
	ITL  time.Duration
}

// Objectives of every run. The patient one is what w1 is looked at with besides.
var (
	Objective = SLO{TTFT: 2 * time.Second, ITL: 100 * time.Millisecond}
	Patient   = SLO{TTFT: 5 * time.Second, ITL: 100 * time.Millisecond}
)

// DefaultConfig is one gateway. Workload and Params are missing.
func DefaultConfig() Config {
	return Config{
		Policy: scheduler.DefaultConfig().Policy, Gateways: 1,
		ScrapeEvery: 100 * time.Millisecond, ScrapeCost: 4 * time.Millisecond, // the lean scrape's, of a real vLLM
		Delay: 100 * time.Microsecond, Queue: 100_000,
	}
}

// Validate says what is wrong with c, as "flag: message".
func (c *Config) Validate() error {
	if c.Workload == nil {
		return fmt.Errorf("workload: none given")
	}
	for _, b := range []struct {
		key          string
		v, low, high int
	}{
		{"instances", c.Instances, 0, 4096}, {"gateways", c.Gateways, 1, 64}, {"queue", c.Queue, 0, 1 << 24},
	} {
		if b.v < b.low || b.v > b.high {
			return fmt.Errorf("%s: %d is out of range, need %d to %d", b.key, b.v, b.low, b.high)
		}
	}
	for _, b := range []struct {
		key          string
		v, low, high time.Duration
	}{
		{"scrape", c.ScrapeEvery, time.Millisecond, time.Hour},
		{"scrape-cost", c.ScrapeCost, 0, c.ScrapeEvery / time.Duration(2*max(c.Gateways, 1))},
		{"delay", c.Delay, 0, time.Second},
	} {
		if b.v < b.low || b.v > b.high {
			return fmt.Errorf("%s: %v is out of range: %v to %v", b.key, b.v, b.low, b.high)
		}
	}
	if !(c.TokenError >= 0 && c.TokenError <= 0.9) {
		return fmt.Errorf("token-error: %v is out of range, need 0 to 0.9", c.TokenError)
	}
	for _, f := range c.Failures {
		if f.At < 0 || f.For < 0 || f.Instance < 0 || c.Instances > 0 && f.Instance >= c.Instances {
			return fmt.Errorf("fail: %v is out of range: instances are 0 to %d", f, c.Instances-1)
		}
	}
	for _, p := range c.Profiles {
		if p.BlockSize != workload.Grain {
			return fmt.Errorf("profile: %s has blocks of %d tokens, need %d", p.Name, p.BlockSize, workload.Grain)
		}
	}
	return c.Params.Check()
}

// filled is c with the workload's own fleet where none was named.
func (c Config) filled() (Config, error) {
	if c.Instances == 0 {
		c.Instances = c.Workload.Instances
	}
	if len(c.Profiles) == 0 {
		for _, name := range c.Workload.Profiles {
			p, err := model.Named(name)
			if err != nil {
				return c, err
			}
			c.Profiles = append(c.Profiles, p)
		}
	}
	return c, c.Validate()
}
