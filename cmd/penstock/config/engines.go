package config

import (
	"slices"

	"github.com/goccy/go-yaml"

	"penstock/scheduler/engine"
)

// readEngines takes the operator's own engines, by name.
func (c *Config) readEngines(v value) error {
	c.Scheduler.Engines = nil
	return section{"*": c.readCustom}.read(v)
}

func (c *Config) readCustom(v value) error {
	own := engine.Custom{Name: v.name}
	fields := customFields{}
	if err := fields.schema(&own).read(v); err != nil {
		return err
	}
	for _, key := range engine.Fields() {
		f := fields[key]
		if f.scale > 0 && len(f.names) == 0 {
			return v.orMember(key+scaleSuffix).errorf("scales nothing: name a source for %s too", key)
		}
		for _, name := range f.names {
			if own.Fields == nil {
				own.Fields = map[string][]engine.Source{}
			}
			own.Fields[key] = append(own.Fields[key], engine.Source{Name: name, Scale: f.scale})
		}
	}
	if err := own.Validate(); err != nil {
		return v.errorf("%s", err)
	}
	if len(c.Scheduler.Engines) == engine.MaxCustom {
		return v.errorf("is one too many: %d engines at most", engine.MaxCustom)
	}
	c.Scheduler.Engines = append(c.Scheduler.Engines, own)
	return nil
}

// customFields are what an engine maps, each as it was written.
type customFields map[string]*customField

type customField struct {
	names []string
	scale float64
}

// scaleSuffix makes the key of a field's scale.
const scaleSuffix = "_scale"

func (f customFields) schema(own *engine.Custom) section {
	s := section{
		"metrics_path": enginePath(&own.MetricsPath),
		"health_path":  enginePath(&own.HealthPath),
		"models_path":  enginePath(&own.ModelsPath),
		"format":       oneOf(&own.Format, []string{engine.FormatPrometheus, engine.FormatJSON}, nil),
	}
	for _, key := range engine.Fields() {
		f[key] = &customField{}
		s[key] = texts(&f[key].names, isSource)
		s[key+scaleSuffix] = scale(&f[key].scale)
	}
	return s
}

func enginePath(to *string) reader {
	return func(v value) error {
		if err := text(to)(v); err != nil {
			return err
		}
		if err := engine.CheckPath(*to); err != nil {
			return v.errorf("%s", err)
		}
		return nil
	}
}

func isSource(v value, name string) error {
	if err := (engine.Source{Name: name}).Validate(); err != nil {
		return v.errorf("%s", err)
	}
	return nil
}

func scale(to *float64) reader {
	return func(v value) error {
		if !isNumber(v.node) {
			return v.errorf("need a number such as 0.01, not %s", kindOf(v.node))
		}
		if err := number(to)(v); err != nil {
			return err
		}
		if *to == 0 {
			return v.errorf("0 would make everything 0: write what the value is multiplied with, such as 0.01")
		}
		if err := (engine.Source{Name: "any", Scale: *to}).Validate(); err != nil {
			return v.errorf("%s", err)
		}
		return nil
	}
}

// readEngine takes the name of an engine: of the table, or of the operator's
// own, which have been read before.
func (c *Config) readEngine(to *engine.Kind) reader {
	return func(v value) error {
		var known []string
		for _, k := range engine.Kinds() {
			known = append(known, string(k))
		}
		for _, own := range c.Scheduler.Engines {
			if !slices.Contains(known, own.Name) {
				known = append(known, own.Name)
			}
		}
		return oneOf(to, known, nil)(v)
	}
}

// effectiveEngines leaves out what an entry leaves to the defaults.
func (c *Config) effectiveEngines() yaml.MapSlice {
	engines := yaml.MapSlice{}
	for _, own := range c.Scheduler.Engines {
		one := yaml.MapSlice{}
		for _, m := range mapping("metrics_path", own.MetricsPath, "health_path", own.HealthPath, "models_path", own.ModelsPath, "format", own.Format) {
			if m.Value != "" {
				one = append(one, m)
			}
		}
		for _, key := range engine.Fields() {
			one = append(one, effectiveField(key, own.Fields[key])...)
		}
		engines = append(engines, mapping(own.Name, one)...)
	}
	return engines
}

func effectiveField(key string, sources []engine.Source) yaml.MapSlice {
	if len(sources) == 0 {
		return nil
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	m := mapping(key, names)
	if len(names) == 1 {
		m = mapping(key, names[0])
	}
	if sources[0].Scale > 0 {
		m = append(m, mapping(key+scaleSuffix, sources[0].Scale)...)
	}
	return m
}
