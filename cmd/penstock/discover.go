package main

import (
	"context"
	"log/slog"

	"penstock/cmd/penstock/config"
	"penstock/dataplane/admin"
	"penstock/scheduler"
	"penstock/scheduler/discovery"
)

// discoverers are the sources of instances beside the list in the
// configuration, wired to the scheduler.
type discoverers struct {
	file     *discovery.File
	dns      *discovery.DNS
	registry *discovery.Registry
}

// newDiscoverers makes the sources that cfg asks for, and reads the file once:
// one that is wrong should be found before anything runs.
func newDiscoverers(cfg *config.Config, s *scheduler.Scheduler, log *slog.Logger) (*discoverers, error) {
	d, from := new(discoverers), &cfg.Discovery
	if from.File != "" {
		parse := func(content []byte) ([]discovery.Target, error) { return cfg.ParseInstances(from.File, content) }
		d.file = &discovery.File{Path: from.File, Parse: parse, Set: setter(s, "file"), Log: log}
		if err := d.file.Load(); err != nil {
			return nil, from.WrongFile(err)
		}
	}
	if n := from.DNS; n.Name != "" {
		d.dns = &discovery.DNS{Name: n.Name, Type: n.Type, Port: n.Port, Refresh: n.Refresh, Set: setter(s, "dns"), Log: log}
	}
	if r := from.Register; r.On {
		d.registry = &discovery.Registry{TTL: r.TTL, Set: setter(s, "registration"), Lost: s.Lost, Found: s.Found, Log: log}
	}
	return d, nil
}

// setter hands a source's list to the scheduler.
func setter(s *scheduler.Scheduler, source string) discovery.Set {
	return func(list []discovery.Target) error {
		instances := make([]scheduler.InstanceConfig, len(list))
		for n, t := range list {
			instances[n] = config.Instance(t)
		}
		return s.Set(source, instances)
	}
}

// registration is what the admin port needs to take registrations; nil where
// there are none.
func (d *discoverers) registration(cfg *config.Config) *admin.Registration {
	if d.registry == nil {
		return nil
	}
	return &admin.Registration{Registry: d.registry, Token: cfg.Discovery.Register.Token, Check: cfg.Target}
}

// standing is how each source stands.
func (d *discoverers) standing() (all []discovery.Status) {
	if d.file != nil {
		all = append(all, d.file.Status())
	}
	if d.dns != nil {
		all = append(all, d.dns.Status())
	}
	if d.registry != nil {
		all = append(all, d.registry.Status())
	}
	return all
}

// runs are the sources' goroutines.
func (d *discoverers) runs() (all []func(context.Context) error) {
	if d.file != nil {
		all = append(all, d.file.Run)
	}
	if d.dns != nil {
		all = append(all, d.dns.Run)
	}
	if d.registry != nil {
		all = append(all, d.registry.Run)
	}
	return all
}
