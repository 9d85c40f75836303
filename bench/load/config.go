package load

import (
	"fmt"
	"math"
	"strings"
	"time"
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
	URL      string // of the endpoint, with or without /v1
	Model    string // empty: the first of GET /v1/models
	APIKey   string // sent as a bearer token; empty: none
	Endpoint string // Chat or Completions

	Rate        float64 // requests per second, an open loop with Poisson arrivals
	Concurrency int     // requests in flight, a closed loop; with no Rate either: 8
	MaxInFlight int     // bounds an open loop: later arrivals wait, and their wait counts

	Duration time.Duration // no request goes out later; with no Requests either: 30 s
	Requests int           // how many go out; 0: no limit

	Seed         uint64 // of arrivals and prompts: the same seed, the same load
	PromptTokens int    // length of each prompt, about
	OutputTokens int    // max_tokens
	IgnoreEOS    bool   // ask for all OutputTokens; vLLM and SGLang understand it
	Stream       bool

	SLOTTFT time.Duration // longest TTFT of a good request; 0: any
	SLOITL  time.Duration // longest mean time between its tokens; 0: any
	Timeout time.Duration // of one request, from sending to its last byte

	Later
}

// Later is what comes with a later part of Penstock; Validate refuses it.
type Later struct {
	Workload, Trace, Ramp, HTML string
	WebSocket                   bool
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
	}
}

// Validate says what is wrong with c, as "key: message".
func (c *Config) Validate() error {
	if err := c.Later.refuse(); err != nil {
		return err
	}
	if _, err := targetOf(c.URL); err != nil {
		return err
	}
	if c.Endpoint != Chat && c.Endpoint != Completions {
		return fmt.Errorf("endpoint: %q is neither %q nor %q", c.Endpoint, Chat, Completions)
	}
	if strings.ContainsFunc(c.APIKey, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("api-key: holds a character that cannot stand in a header")
	}
	if math.IsNaN(c.Rate) || c.Rate < 0 || c.Rate > 1e6 {
		return fmt.Errorf("rate: %v is out of range, need 0 to 1000000 requests/s", c.Rate)
	}
	if c.Rate > 0 && c.Concurrency != 0 {
		return fmt.Errorf("rate: an open loop has no concurrency, a closed loop no rate: give one of the two")
	}
	return c.validateBounds()
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
		{"slo-ttft", c.SLOTTFT, time.Hour},
		{"slo-itl", c.SLOITL, time.Hour},
		{"timeout", c.Timeout, time.Hour},
	} {
		if b.v < 0 || b.v > b.high {
			return fmt.Errorf("%s: %v is out of range, need 0s to %v", b.key, b.v, b.high)
		}
	}
	if c.Timeout < time.Millisecond {
		return fmt.Errorf("timeout: %v is out of range, need at least 1ms: a request that never ends would end no run", c.Timeout)
	}
	return nil
}

func (l *Later) refuse() error {
	for _, f := range []struct {
		key   string
		given bool
	}{
		{"workload", l.Workload != ""},
		{"trace", l.Trace != ""},
		{"ramp", l.Ramp != ""},
		{"html", l.HTML != ""},
		{"websocket", l.WebSocket},
	} {
		if f.given {
			return fmt.Errorf("%s: not there yet", f.key)
		}
	}
	return nil
}

// filled is c with what a run needs where it was told nothing.
func (c Config) filled() Config {
	if c.Rate == 0 && c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Duration == 0 && c.Requests == 0 {
		c.Duration = defaultDuration
	}
	return c
}
