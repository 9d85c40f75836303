package load

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"penstock/bench/workload"
)

// Endpoints.
const (
	Chat        = "chat"        // /v1/chat/completions
	Completions = "completions" // /v1/completions
)

// What a run does that was told neither how much nor for how long.
const (
	defaultConcurrency = 8
	defaultDuration    = 30 * time.Second
)

// Config is what a run can be told. Keys in errors are the flags' names.
type Config struct {
	URL      string   // of the endpoint, with or without /v1
	Model    string   // empty: the first of GET /v1/models
	APIKeys  []string // one for each of a workload's clients, sent as a bearer token; one: of all; none: none
	Endpoint string   // Chat or Completions

	// Workload says what is sent and when; then PromptTokens, OutputTokens and
	// IgnoreEOS are its own, and Rate is in its unit (0: its only one). nil: prompts
	// that have nothing in common.
	Workload *workload.Workload

	Rate        float64       // requests per second, an open loop with Poisson arrivals
	Concurrency int           // requests in flight, a closed loop; with no Rate either: 8
	Ramp        time.Duration // the rate or the concurrency rises from nothing for so long
	MaxInFlight int           // bounds an open loop: later arrivals wait, and their wait counts

	Duration time.Duration // no request goes out later; with no Requests either: 30 s; of a workload: its own
	Requests int           // how many go out; 0: no limit

	Seed         uint64 // of arrivals and prompts: the same seed, the same load
	PromptTokens int    // length of each prompt, about
	OutputTokens int    // max_tokens
	IgnoreEOS    bool   // ask for all OutputTokens; vLLM and SGLang understand it
	Stream       bool

	SLOTTFT time.Duration // longest TTFT of a good request; 0: any
	SLOITL  time.Duration // longest mean time between its tokens; 0: any
	Timeout time.Duration // of one request, from sending to its last byte

	// TimeScale goes with engines that are so many times as fast as what they
	// simulate: requests come that much faster, and every time in the report is that
	// much longer, as are those above.
	TimeScale float64

	// WebSocket has each worker send its requests over one, as messages, in place of
	// HTTP. Sessions go unnamed then.
	WebSocket bool
}

// DefaultConfig is a closed loop of short streamed chats. The URL is missing.
func DefaultConfig() Config {
	return Config{
		Endpoint:     Chat,
		MaxInFlight:  8192,
		Seed:         1,
		PromptTokens: 128,
		OutputTokens: 64,
		Stream:       true,
		SLOTTFT:      2 * time.Second,
		SLOITL:       100 * time.Millisecond,
		Timeout:      5 * time.Minute,
		TimeScale:    1,
	}
}

// Validate says what is wrong with c, as "key: message".
func (c *Config) Validate() error {
	if _, err := targetOf(c.URL, c.WebSocket); err != nil {
		return err
	}
	if c.Endpoint != Chat && c.Endpoint != Completions {
		return fmt.Errorf("endpoint: %q is neither %q nor %q", c.Endpoint, Chat, Completions)
	}
	for _, key := range c.APIKeys {
		if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return fmt.Errorf("api-key: holds a character that cannot stand in a header")
		}
	}
	if !(c.TimeScale >= 0.001 && c.TimeScale <= 1000) {
		return fmt.Errorf("time-scale: %v is out of range, need 0.001 to 1000", c.TimeScale)
	}
	if c.Rate != 0 {
		if err := workload.CheckRate(c.Rate); err != nil {
			return fmt.Errorf("rate: %w", err)
		}
	}
	if c.Rate > 0 && c.Concurrency != 0 {
		return fmt.Errorf("rate: an open loop has no concurrency, a closed loop no rate: give one of the two")
	}
	if err := c.validateWorkload(); err != nil {
		return err
	}
	return c.validateBounds()
}

func (c *Config) validateWorkload() error {
	w := c.Workload
	switch {
	case w == nil && len(c.APIKeys) > 1:
		return fmt.Errorf("api-key: %d keys, but only a workload has several clients", len(c.APIKeys))
	case w == nil:
		return nil
	case c.Ramp != 0:
		return fmt.Errorf("ramp: a workload says itself when requests come")
	case c.Concurrency != 0:
		return fmt.Errorf("concurrency: a workload has a rate instead, in %s", w.Unit)
	case c.Rate == 0 && len(w.Rates) != 1:
		return fmt.Errorf("rate: %s needs one, in %s, such as one of %v", w.Name, w.Unit, w.Rates)
	case len(c.APIKeys) > 1 && len(c.APIKeys) < w.Keys:
		return fmt.Errorf("api-key: %d keys, but %s has %d clients", len(c.APIKeys), w.Name, w.Keys)
	}
	filled := c.filled()
	p := filled.params()
	return p.Check()
}

// params are the workload's.
func (c *Config) params() workload.Params {
	return workload.Params{Rate: c.Rate, Seed: c.Seed, Duration: c.Duration}
}

// key is the n-th client's.
func (c *Config) key(n int) string {
	switch len(c.APIKeys) {
	case 0:
		return ""
	case 1:
		return c.APIKeys[0]
	}
	return c.APIKeys[n%len(c.APIKeys)]
}

func (c *Config) validateBounds() error {
	for _, b := range []struct {
		key          string
		v, low, high int64
	}{
		{"concurrency", int64(c.Concurrency), 0, 1 << 16},
		{"max-in-flight", int64(c.MaxInFlight), 1, 1 << 16},
		{"requests", int64(c.Requests), 0, 1 << 28}, // as many as prompts are unique
		{"prompt-tokens", int64(c.PromptTokens), 1, 1 << 20},
		{"output-tokens", int64(c.OutputTokens), 1, 1 << 20},
	} {
		if b.v < b.low || b.v > b.high {
			return fmt.Errorf("%s: %d is out of range, need %d to %d", b.key, b.v, b.low, b.high)
		}
	}
	for _, b := range []struct {
		key     string
		v, high time.Duration
	}{
		{"duration", c.Duration, 24 * time.Hour},
		{"ramp", c.Ramp, 24 * time.Hour},
		{"slo-ttft", c.SLOTTFT, time.Hour},
		{"slo-itl", c.SLOITL, time.Hour},
		{"timeout", c.Timeout, time.Hour},
	} {
		if b.v < 0 || b.v > b.high {
			return fmt.Errorf("%s: %v is out of range, need 0s to %v", b.key, b.v, b.high)
		}
	}
	if lasts := c.filled().Duration; lasts > 0 && c.Ramp > lasts {
		return fmt.Errorf("ramp: %v is longer than the run's %v: need at most that, or a longer --duration", c.Ramp, lasts)
	}
	if c.Timeout < time.Millisecond {
		return fmt.Errorf("timeout: %v is out of range, need at least 1ms: a request that never ends would end no run", c.Timeout)
	}
	return nil
}

// filled is c with what a run needs where it was told nothing.
func (c Config) filled() Config {
	if c.Workload != nil {
		c.Rate = cmp.Or(c.Rate, c.Workload.Rates[0])
		return c
	}
	if c.Rate == 0 && c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Duration == 0 && c.Requests == 0 {
		c.Duration = defaultDuration
	}
	return c
}
