package engine

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Custom is an engine of the operator's own, or a built-in one read
// differently: what it names takes the place of the table's, the rest stays.
type Custom struct {
	Name        string // its Kind: letters, digits and . _ -
	MetricsPath string // default /metrics
	HealthPath  string // default /health
	ModelsPath  string // default /v1/models
	Format      string // prometheus, json, or "": as the page looks
	// Fields are where each of Fields() is read; several sources are added up.
	Fields map[string][]Source
}

// Source is where a number is read: a metric, metric{label="value"} or
// metric[label] of the Prometheus text format, or a JSON path such as
// loads.*.running, * being every item (one instance's ranks).
type Source struct {
	Name  string
	Scale float64 // what the number is multiplied with; 0: 1
}

// Formats of a metrics page, for Custom.Format.
const (
	FormatPrometheus = "prometheus"
	FormatJSON       = "json"
)

// MaxCustom is how many engines of the operator's own there can be.
const MaxCustom = 64

const (
	maxCustomName  = 64
	maxFieldSource = 8
	maxCustomPath  = 256
	maxScale       = 1e12
)

// Validate says what is wrong with c, the key first: "running: …".
func (c *Custom) Validate() error {
	if err := checkName(c.Name); err != nil {
		return err
	}
	for _, p := range []struct{ key, path string }{
		{"metrics_path", c.MetricsPath}, {"health_path", c.HealthPath}, {"models_path", c.ModelsPath},
	} {
		if err := CheckPath(p.path); p.path != "" && err != nil {
			return fmt.Errorf("%s: %w", p.key, err)
		}
	}
	if !slices.Contains([]string{"", FormatPrometheus, FormatJSON}, c.Format) {
		return fmt.Errorf("format: %q is none of %s, %s", c.Format, FormatPrometheus, FormatJSON)
	}
	if len(c.Fields) == 0 && profileOf(Kind(c.Name)) == nil {
		return fmt.Errorf("nothing is mapped: name at least one of %s", strings.Join(fieldNames[:], ", "))
	}
	for key, sources := range c.Fields {
		if _, ok := fieldNamed(key); !ok {
			return fmt.Errorf("%s: unknown, want one of %s", key, strings.Join(fieldNames[:], ", "))
		}
		if len(sources) == 0 || len(sources) > maxFieldSource {
			return fmt.Errorf("%s: %d sources, want 1 to %d", key, len(sources), maxFieldSource)
		}
		for _, s := range sources {
			if _, err := s.parse(); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if n := len(c.sources()); n > maxJSONSources {
		return fmt.Errorf("%d sources in all, want at most %d", n, maxJSONSources)
	}
	return nil
}

func checkName(name string) error {
	bad := func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
	}
	switch {
	case name == "" || len(name) > maxCustomName || strings.ContainsFunc(name, bad):
		return fmt.Errorf("name %.80q: want up to %d letters, digits, dots, - and _", name, maxCustomName)
	case name == string(Auto):
		return fmt.Errorf("name %q: this word means that the engine is found out", name)
	}
	return nil
}

// CheckPath says what is wrong with a path to ask an engine for.
func CheckPath(path string) error {
	bad := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }
	if !strings.HasPrefix(path, "/") || len(path) > maxCustomPath || strings.ContainsFunc(path, bad) {
		return fmt.Errorf("%.80q: want a path that begins with /, of up to %d printable ASCII characters", path, maxCustomPath)
	}
	return nil
}

// Validate says what is wrong with s.
func (s Source) Validate() error {
	_, err := s.parse()
	return err
}

func (s Source) parse() (source, error) {
	parsed, err := parseSource(s.Name)
	if err != nil {
		return parsed, err
	}
	if s.Scale < 0 || s.Scale > maxScale || math.IsNaN(s.Scale) {
		return parsed, fmt.Errorf("scale %v: want more than 0 and at most %v", s.Scale, maxScale)
	}
	if s.Scale > 0 {
		parsed.scale = s.Scale
	}
	return parsed, nil
}

// sources are c's own, and of a built-in engine those of the fields that c does
// not name. The order does not depend on the map's.
func (c *Custom) sources() []source {
	var all []source
	for f, name := range fieldNames {
		for _, s := range c.Fields[name] {
			parsed, err := s.parse()
			if err == nil { // else Validate has said so
				parsed.to, parsed.own = field(f), true
				all = append(all, parsed)
			}
		}
	}
	if p := profileOf(Kind(c.Name)); p != nil {
		all = append(all, c.unnamed(p.page)...)
	}
	return all
}

// unnamed are those of the table's sources whose field c leaves alone.
func (c *Custom) unnamed(sources []source) []source {
	var left []source
	for _, s := range sources {
		if s.to == version || c.Fields[fieldNames[s.to]] == nil {
			left = append(left, s)
		}
	}
	return left
}

func (c *Custom) profile() *profile {
	p := profile{kind: Kind(c.Name)}
	if known := profileOf(p.kind); known != nil {
		p = *known
		p.loadsFrom = c.unnamed(p.loadsFrom)
	}
	p.page = c.sources()
	if c.MetricsPath != "" {
		p.pages = []string{c.MetricsPath}
	}
	if c.HealthPath != "" {
		p.health = c.HealthPath
	}
	if c.ModelsPath != "" {
		p.models = c.ModelsPath
	}
	switch c.Format {
	case FormatPrometheus:
		p.format = prometheus
	case FormatJSON:
		p.format = jsonDocument
	}
	return newProfile(p)
}

// CheckCustom says what is wrong with any of the operator's own engines, the
// key first: "engines: my_engine: running: …".
func CheckCustom(custom []Custom) error {
	_, err := tableWith(custom)
	return err
}

// tableWith is the table with the operator's own engines: a built-in one named
// again stands where it was, the others before all, as more particular.
func tableWith(customs []Custom) ([]*profile, error) {
	if len(customs) == 0 {
		return profiles, nil
	}
	if len(customs) > MaxCustom {
		return nil, fmt.Errorf("engines: %d of your own, want at most %d", len(customs), MaxCustom)
	}
	table := slices.Clone(profiles)
	seen := make(map[string]bool, len(customs))
	for i := range customs {
		c := &customs[i]
		if err := c.Validate(); err != nil {
			return nil, fmt.Errorf("engines: %s: %w", c.Name, err)
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("engines: %s stands twice", c.Name)
		}
		seen[c.Name] = true
		if at := slices.IndexFunc(table, func(p *profile) bool { return string(p.kind) == c.Name }); at >= 0 {
			table[at] = c.profile()
		} else {
			table = slices.Insert(table, 0, c.profile())
		}
	}
	return table, nil
}
