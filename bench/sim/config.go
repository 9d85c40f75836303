package sim

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"penstock/bench/model"
)

// Config says what to simulate. Zero numbers are the profile's own.
type Config struct {
	Listen    string // host:port of the first instance, the others follow; port 0: any, for each
	Instances int
	Model     string // as clients name it
	Engine    string // one of Engines()
	Profile   string // one of model.Profiles()

	MaxNumSeqs       int
	MaxBatchedTokens int
	MaxModelLen      int
	KVBlocks         int
	BlockSize        int
	Overhead         time.Duration // of a request
	PrefillToken     time.Duration // for each prompt token computed
	Decode           time.Duration // of a step that decodes

	TimeScale   float64       // 10: everything ten times faster
	IdleTimeout time.Duration // of a connection without a request
	IdleLeast   time.Duration // 0: exactly IdleTimeout; else at random between the two
	APIKey      string        // wanted under /v1; "": none
	Seed        uint64        // of output lengths that no max_tokens fixes, and of which requests a fault meets
	KVEvents    int           // port; not there yet

	// Exit carries out the fault "exit": `penstock sim` ends the process. nil
	// kills the instance alone, which its clients cannot tell from that.
	Exit func(instance int)
}

// DefaultConfig is one 8B engine that closes idle connections when vLLM does.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:9100", Instances: 1, Model: "llama2", Engine: "vllm", Profile: "8b-h100",
		TimeScale: 1, IdleTimeout: 5 * time.Second, Seed: 1,
	}
}

// maxInstances bounds what one process simulates.
const maxInstances = 4096

// Validate says which setting is wrong, by the name of its flag.
func (c *Config) Validate() error {
	if _, _, err := c.address(); err != nil {
		return err
	}
	switch {
	case c.Instances < 1 || c.Instances > maxInstances:
		return fmt.Errorf("instances: %d is not between 1 and %d", c.Instances, maxInstances)
	case c.Model == "":
		return fmt.Errorf("model: must not be empty")
	case dialects[c.Engine] == nil:
		return fmt.Errorf("engine: unknown %q: want one of %s", c.Engine, strings.Join(Engines(), ", "))
	case !(c.TimeScale >= 0.001 && c.TimeScale <= 1000):
		return fmt.Errorf("time-scale: %v is not between 0.001 and 1000", c.TimeScale)
	case c.IdleTimeout < time.Millisecond:
		return fmt.Errorf("idle-timeout: %v is less than 1ms", c.IdleTimeout)
	case c.IdleLeast != 0 && (c.IdleLeast < time.Millisecond || c.IdleLeast > c.IdleTimeout):
		return fmt.Errorf("idle-least: %v is not between 1ms and idle-timeout, %v", c.IdleLeast, c.IdleTimeout)
	case c.KVEvents != 0:
		return fmt.Errorf("kv-events: not there yet: comes with a later version")
	}
	_, err := c.profile()
	return err
}

// Engines lists the engines whose HTTP can be spoken.
func Engines() []string {
	names := make([]string, 0, len(dialects))
	for name := range dialects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// address splits Listen; the ports of all instances must exist.
func (c *Config) address() (host string, port int, err error) {
	host, text, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen: %w", err)
	}
	port, err = strconv.Atoi(text)
	if err != nil || port < 0 || port > 65535 || (port > 0 && port+c.Instances-1 > 65535) {
		return "", 0, fmt.Errorf("listen: %q has no ports for %d instances", c.Listen, c.Instances)
	}
	return host, port, nil
}

// profile is the named one with what the configuration changes. A cache made
// smaller than the context makes the context smaller, unless that is given too.
func (c *Config) profile() (model.Profile, error) {
	p, err := model.Named(c.Profile)
	if err != nil {
		return p, fmt.Errorf("profile: %w", err)
	}
	override(&p.MaxNumSeqs, c.MaxNumSeqs)
	override(&p.MaxBatchedTokens, c.MaxBatchedTokens)
	override(&p.KVBlocks, c.KVBlocks)
	override(&p.BlockSize, c.BlockSize)
	p.MaxModelLen = min(p.MaxModelLen, p.KVTokens())
	override(&p.MaxModelLen, c.MaxModelLen)
	override(&p.Overhead, c.Overhead)
	override(&p.PrefillToken, c.PrefillToken)
	override(&p.Decode, c.Decode)
	return p, p.Validate()
}

func override[T comparable](to *T, with T) {
	var zero T
	if with != zero {
		*to = with
	}
}
