package config

import (
	"log/slog"
	"math"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"penstock/dataplane"
	"penstock/scheduler"
)

// What exists so far of the names in INTERFACE.md, and what does not.
var (
	plannedPolicies = []string{"pd-split"}
	kernels         = []string{"auto", "sockops", "tracepoints", "tcp_info", "off"}
)

func (c *Config) readNative(v value) error {
	schema := c.native()
	if schema.isForeign(v) {
		return &Error{File: v.file, Message: "is no Penstock configuration"}
	}
	// Any other key may name one of the operator's engines.
	if own, ok := v.find("engines"); ok && !own.isNull() {
		if err := c.readEngines(own); err != nil {
			return err
		}
	}
	return schema.read(v)
}

// native is the schema of the native file. It stands in INTERFACE.md's order.
func (c *Config) native() section {
	g, s := &c.Gateway, &c.Scheduler
	return section{
		"group":         pathPart(&g.Group),
		"name":          pathPart(&g.Name),
		"listen":        texts(&g.Listen, isListenAddress),
		"admin":         c.readAdmin,
		"engine":        c.readEngine(&s.Engine),
		"instances":     list(c.readInstance),
		"discovery":     c.discovery().read,
		"engines":       c.readEngines,
		"policy":        c.readPolicy,
		"queue":         section{"max_size": integer(&g.Queue.MaxSize), "timeout": duration(&g.Queue.Timeout), "late_binding": boolean(&s.Late)}.read,
		"slo":           section{"ttft": duration(&s.SLO.TTFT), "itl": duration(&s.SLO.ITL)}.read,
		"retry":         section{"count": integer(&g.Retry.Count)}.read,
		"health":        c.health().read,
		"scheduler":     section{"url": notYet, "try_period": c.awaySetting, "timeout": c.awaySetting}.read,
		"scrape":        section{"every": orAuto(&s.Scrape.Every), "timeout": duration(&s.Scrape.Timeout)}.read,
		"auth":          section{"keys_file": c.readKeysFile, "engine_key": c.readEngineKey}.read,
		"routes":        section{"allow": texts(&g.Routes.Allow, anyText)}.read,
		"tls":           notYet,
		"limits":        limits(&g.Limits).read,
		"websocket":     webSocket(&g.WebSocket).read,
		"kernel":        section{"mode": c.readKernelMode, "cgroup": absolutePath(&c.Kernel.Cgroup), "pin": absolutePath(&c.Kernel.Pin)}.read,
		"metrics":       c.metrics().read,
		"cluster":       notYet,
		"log":           section{"level": c.readLogLevel, "format": c.readLogFormat}.read,
		"drain_timeout": duration(&g.DrainTimeout),
		"resources":     section{"cpu": c.readCPU, "memory": c.readMemory}.read,
	}
}

func limits(l *dataplane.Limits) section {
	return section{
		"header_bytes":   size(&l.HeaderBytes),
		"body_bytes":     size(&l.BodyBytes),
		"held_bytes":     size(&l.HeldBytes),
		"header_timeout": duration(&l.HeaderTimeout),
		"body_timeout":   duration(&l.BodyTimeout),
		"idle_timeout":   duration(&l.IdleTimeout),
		"stall_timeout":  duration(&l.StallTimeout),
		"connections":    integer(&l.Connections),
	}
}

func webSocket(w *dataplane.WebSocket) section {
	return section{
		"origins":             origins(&w.Origins),
		"connections_per_key": integer(&w.PerKey),
		"requests":            integer(&w.Requests),
		"idle_timeout":        duration(&w.IdleTimeout),
		"paths":               texts(&w.Paths, anyText),
	}
}

func (c *Config) health() section {
	h := &c.Scheduler.Health
	return section{
		"stall":            duration(&h.Stall),
		"connect_timeout":  duration(&h.ConnectTimeout),
		"response_timeout": duration(&h.ResponseTimeout),
		"probe_every":      duration(&h.ProbeEvery),
	}
}

// awaySetting takes what a gateway does while its scheduler is away. With both
// in one process that cannot be.
func (c *Config) awaySetting(v value) error {
	var unused time.Duration
	if err := duration(&unused)(v); err != nil {
		return err
	}
	c.warn(v, "accepted, without effect: "+oneProcess)
	return nil
}

// orAuto takes a duration, or "auto" as 0.
func orAuto(to *time.Duration) reader {
	return func(v value) error {
		var word string
		if text(&word)(v) == nil && word == "auto" {
			*to = 0
			return nil
		}
		if err := duration(to)(v); err != nil {
			return err
		}
		if *to == 0 {
			return v.errorf("0 is no interval: write auto, or a duration such as 1s")
		}
		return nil
	}
}

func (c *Config) metrics() section {
	labels := func(v value) error {
		c.Push.Labels = map[string]string{}
		return section{"*": c.readLabel}.read(v)
	}
	return section{"push": texts(&c.Push.URLs, isPushURL), "every": c.readPushEvery, "labels": labels}
}

// leastMemory is the least that the process can be told to keep to.
const leastMemory = 64 << 20

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// ownLabels stand on series of the router: the same one twice would make a
// store refuse the series, or lose one of the two.
var ownLabels = strings.Fields("caught code commit direction goversion instance key kind le limit mode model outcome policy reason route signal source stat state version when")

func (c *Config) readLabel(v value) error {
	name := v.name
	if !labelName.MatchString(name) {
		return v.errorf("%q cannot name a label: letters, digits and _ can", name)
	}
	if slices.Contains(ownLabels, name) || strings.HasPrefix(name, "__") {
		return v.errorf("a label %s is on the router's own series already: choose another name", name)
	}
	var s string
	if err := verbatim(&s)(v); err != nil {
		return err
	}
	c.Push.Labels[name] = s
	return nil
}

func (c *Config) readPushEvery(v value) error {
	if err := duration(&c.Push.Every)(v); err != nil {
		return err
	}
	if c.Push.Every < time.Second || c.Push.Every > time.Hour {
		return v.errorf("%s is out of range: 1s to 1h", c.Push.Every)
	}
	return nil
}

func isPushURL(v value, s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return v.errorf("need a URL such as http://127.0.0.1:8428/api/v1/import/prometheus")
	}
	return nil
}

func (c *Config) readPolicy(v value) error {
	return oneOf(&c.Scheduler.Policy, scheduler.Policies(), plannedPolicies)(v)
}

func (c *Config) readKernelMode(v value) error {
	return oneOf(&c.Kernel.Mode, kernels, nil)(v)
}

func (c *Config) readLogLevel(v value) error {
	var name string
	if err := oneOf(&name, []string{"debug", "info", "warn", "error"}, nil)(v); err != nil {
		return err
	}
	return c.Log.Level.UnmarshalText([]byte(name))
}

func (c *Config) readLogFormat(v value) error {
	return oneOf(&c.Log.Format, []string{"text", "json"}, nil)(v)
}

func (c *Config) readEngineKey(v value) error {
	return oneOf(&c.engineKey, []string{dataplane.EngineKeyDrop, dataplane.EngineKeyPassthrough}, nil)(v)
}

func (c *Config) readKeysFile(v value) error {
	if err := text(&c.keysFile)(v); err != nil {
		return err
	}
	if c.keysFile == "" {
		return v.errorf("need a path (without this key everybody may use the router)")
	}
	keys, err := readKeys(beside(v.file, c.keysFile))
	if err != nil {
		return v.because(err)
	}
	c.Gateway.Auth.Keys = keys
	return nil
}

// beside is where a path in a file leads: relative to that file's folder, so
// that a configuration does not depend on where the process was started.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

// readCPU takes the cores, rounded up: a process runs on whole ones.
func (c *Config) readCPU(v value) error {
	var cores float64
	if err := number(&cores)(v); err != nil {
		return err
	}
	if !(cores >= 0 && cores <= 4096) { // not a number is in no range
		return v.errorf("%v is out of range: need a number of cores, 4096 at most", cores)
	}
	c.Resources.CPU = int(math.Ceil(cores))
	return nil
}

// readMemory takes bytes. Less than leastMemory leaves no room for a request.
func (c *Config) readMemory(v value) error {
	var bytes int64
	if err := size(&bytes)(v); err != nil {
		return err
	}
	if bytes != 0 && bytes < leastMemory {
		return v.errorf("%s is out of range: need %s or more", sizeText(bytes), sizeText(leastMemory))
	}
	c.Resources.Memory = bytes
	return nil
}

func anyText(value, string) error { return nil }

// absolutePath takes "" for none.
func absolutePath(to *string) reader {
	return func(v value) error {
		if err := text(to)(v); err != nil {
			return err
		}
		if *to != "" && !filepath.IsAbs(*to) {
			return v.errorf("%q: need a whole path, such as /sys/fs/…", *to)
		}
		return nil
	}
}

func (c *Config) warn(v value, sentence string) {
	c.Warnings = append(c.Warnings, v.errorf("%s", sentence).Error())
}

// levelName is the level as a file writes it.
func (l Log) levelName() string {
	switch {
	case l.Level <= slog.LevelDebug:
		return "debug"
	case l.Level >= slog.LevelError:
		return "error"
	case l.Level >= slog.LevelWarn:
		return "warn"
	}
	return "info"
}
