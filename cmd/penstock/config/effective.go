package config

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"penstock/dataplane"
	"penstock/scheduler"
)

// Effective is what the process is told in the end, as a native file: the file
// and the flags together, with each default written out, in INTERFACE.md's
// order. Keys whose part does not exist yet are left out. Read by Load from
// where the first file stands, it gives the same configuration again.
//
// No secret is in it: keys are named by the files that hold them, and a
// password in a URL is masked.
func (c *Config) Effective() []byte {
	text, err := yaml.MarshalWithOptions(c.effective(), yaml.IndentSequence(true))
	if err != nil { // strings, numbers and lists of them always marshal
		panic(err)
	}
	return text
}

// EffectiveJSON is Effective in JSON.
func (c *Config) EffectiveJSON() []byte {
	text, err := yaml.YAMLToJSON(c.Effective())
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func (c *Config) effective() yaml.MapSlice {
	g, s := &c.Gateway, &c.Scheduler
	return mapping(
		"group", g.Group,
		"name", g.Name,
		"listen", g.Listen,
		"admin", c.Admin,
		"engine", string(s.Engine),
		"instances", c.effectiveInstances(),
		"discovery", c.effectiveDiscovery(),
		"engines", c.effectiveEngines(),
		"policy", s.Policy,
		"queue", mapping("max_size", g.Queue.MaxSize, "timeout", durationText(g.Queue.Timeout), "late_binding", s.Late),
		"slo", mapping("ttft", durationText(s.SLO.TTFT), "itl", durationText(s.SLO.ITL)),
		"retry", mapping("count", g.Retry.Count),
		"health", effectiveHealth(&s.Health),
		"scrape", mapping("every", everyText(s.Scrape.Every), "timeout", durationText(s.Scrape.Timeout)),
		"auth", c.effectiveAuth(),
		"routes", mapping("allow", append([]string{}, g.Routes.Allow...)),
		"limits", effectiveLimits(&g.Limits),
		"websocket", effectiveWebSocket(&g.WebSocket),
		"kernel", mapping("mode", c.Kernel.Mode, "cgroup", c.Kernel.Cgroup, "pin", c.Kernel.Pin),
		"metrics", c.effectiveMetrics(),
		"log", mapping("level", c.Log.levelName(), "format", c.Log.Format),
		"drain_timeout", durationText(g.DrainTimeout),
		"resources", mapping("cpu", c.Resources.CPU, "memory", sizeText(c.Resources.Memory)),
	)
}

// effectiveAuth leaves keys_file out where there is none: without a name it is
// refused.
func (c *Config) effectiveAuth() yaml.MapSlice {
	key := c.Gateway.Auth.EngineKey
	if c.keysFile == "" {
		return mapping("engine_key", key)
	}
	return mapping("keys_file", c.keysFile, "engine_key", key)
}

func (c *Config) effectiveInstances() []yaml.MapSlice {
	list := []yaml.MapSlice{}
	for i, in := range c.Scheduler.Instances {
		list = append(list, mapping(
			"url", in.URL,
			"name", in.Name,
			"engine", string(in.Engine),
			"api_key_file", orNull(c.keyFiles[i]),
			"max_in_flight", in.MaxInFlight,
		))
	}
	return list
}

func effectiveHealth(h *scheduler.Health) yaml.MapSlice {
	return mapping(
		"stall", durationText(h.Stall),
		"connect_timeout", durationText(h.ConnectTimeout),
		"response_timeout", durationText(h.ResponseTimeout),
		"probe_every", durationText(h.ProbeEvery),
	)
}

func effectiveLimits(l *dataplane.Limits) yaml.MapSlice {
	return mapping(
		"header_bytes", sizeText(int64(l.HeaderBytes)),
		"body_bytes", sizeText(l.BodyBytes),
		"held_bytes", sizeText(l.HeldBytes),
		"header_timeout", durationText(l.HeaderTimeout),
		"body_timeout", durationText(l.BodyTimeout),
		"idle_timeout", durationText(l.IdleTimeout),
		"stall_timeout", durationText(l.StallTimeout),
		"connections", l.Connections,
	)
}

func effectiveWebSocket(w *dataplane.WebSocket) yaml.MapSlice {
	origins, paths := append([]string{}, w.Origins...), append([]string{}, w.Paths...)
	return mapping(
		"origins", origins,
		"connections_per_key", w.PerKey,
		"requests", w.Requests,
		"idle_timeout", durationText(w.IdleTimeout),
		"paths", paths,
	)
}

func (c *Config) effectiveMetrics() yaml.MapSlice {
	urls := []string{}
	for _, url := range c.Push.URLs {
		urls = append(urls, redact(url))
	}
	labels := c.Push.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return mapping("push", urls, "every", durationText(c.Push.Every), "labels", labels)
}

// mapping keeps its keys in the order that they are given in, each followed by
// its value.
func mapping(keysAndValues ...any) yaml.MapSlice {
	var m yaml.MapSlice
	for i := 0; i < len(keysAndValues); i += 2 {
		m = append(m, yaml.MapItem{Key: keysAndValues[i], Value: keysAndValues[i+1]})
	}
	return m
}

// orNull is s, or null where there is none: a key without a value asks for
// nothing.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// durationText is d as a file would have it: 2m, not 2m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func everyText(d time.Duration) string {
	if d == 0 {
		return "auto"
	}
	return durationText(d)
}

// sizeText is n bytes in the largest binary unit that leaves a whole number.
func sizeText(n int64) string {
	unit := "B"
	for _, larger := range []string{"KiB", "MiB", "GiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, larger
	}
	return strconv.FormatInt(n, 10) + unit
}
