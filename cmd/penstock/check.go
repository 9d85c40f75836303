package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"penstock/cmd/penstock/config"
	"penstock/scheduler"
)

type checkCmd struct {
	routerFlags
	Against string `placeholder:"URL" help:"Print what a reload would change there (not there yet)."`
}

func (c *checkCmd) Run(out io.Writer) error {
	if c.Against != "" {
		return usage(errors.New("--against: not there yet: it comes with reloading"))
	}
	cfg, err := config.Load(c.Config, c.flags())
	if err != nil {
		return err
	}
	for _, w := range cfg.Warnings {
		fmt.Fprintln(os.Stderr, "penstock:", w)
	}
	if err := checkSources(cfg); err != nil {
		return err
	}
	_, err = out.Write(append(cfg.Effective(), cfg.KeysText()...))
	return err
}

// checkSources reads what serve would read before it begins: discovery.file.
func checkSources(cfg *config.Config) error {
	log := newLog(config.Log{Level: slog.LevelWarn}, os.Stderr)
	s, err := scheduler.New(cfg.Scheduler, log)
	if err != nil {
		return err
	}
	_, err = newDiscoverers(cfg, s, log)
	return err
}
