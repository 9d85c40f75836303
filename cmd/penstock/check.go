package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"penstock/cmd/penstock/config"
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
	_, err = out.Write(cfg.Effective())
	return err
}
