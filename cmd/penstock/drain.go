package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/signal"
	"syscall"
	"time"

	"penstock/cmd/penstock/config"
)

type drainCmd struct {
	Name      string `arg:"" help:"The instance, as /api/v1/instances calls it."`
	Undo      bool   `help:"Let it have requests again."`
	Wait      bool   `help:"Wait until nothing is under way there. Interrupted, it goes on draining."`
	Scheduler string `aliases:"admin" default:"http://127.0.0.1:8081" placeholder:"URL" help:"The router's admin port; --admin is the same. (${default})"`
	TokenFile string `placeholder:"FILE" help:"Holds the token of discovery.register.token_file, if the router has one. (none)"`
}

// drainLook is how often --wait looks.
const drainLook = 200 * time.Millisecond

// Help is more of drain --help.
func (drainCmd) Help() string {
	return "The instance gets nothing new; what is under way goes on, WebSockets that pass through too, until their ends close them. Of several routers each has to be told.\n\n" +
		"Example: penstock drain gpu-12 --wait && ssh gpu-12 systemctl restart vllm"
}

func (c *drainCmd) Run(out io.Writer) error {
	base, err := adminBase(c.Scheduler)
	if err != nil {
		return usage(err)
	}
	api := &adminAPI{base: base.String(), http: http.Client{Timeout: registerTimeout}}
	if c.TokenFile != "" {
		if api.token, err = config.ReadToken(c.TokenFile); err != nil {
			return usage(fmt.Errorf("--token-file: %w", err))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return c.drain(ctx, api, out)
}

// drained is what the router answers.
type drained struct {
	State    string `json:"state"` // "": the instance is gone
	InFlight int    `json:"in_flight"`
	Sockets  int    `json:"websockets"` // of them, those that pass through
}

// underWay is what is not over.
func (d *drained) underWay() string {
	if d.Sockets == 0 {
		return fmt.Sprint(d.InFlight)
	}
	return fmt.Sprintf("%d (%s open)", d.InFlight, d.sockets())
}

func (d *drained) sockets() string {
	if d.Sockets == 1 {
		return "1 WebSocket"
	}
	return fmt.Sprintf("%d WebSockets", d.Sockets)
}

// onlySockets says whether nothing else is waited for: a request ends by itself, a
// WebSocket may last for days.
func (d *drained) onlySockets() bool { return d.Sockets > 0 && d.Sockets == d.InFlight }

func (c *drainCmd) drain(ctx context.Context, api *adminAPI, out io.Writer) error {
	path, method := "/api/v1/instances/"+url.PathEscape(c.Name), http.MethodPost
	if c.Undo {
		method = http.MethodDelete
	}
	now, err := ask(ctx, api, method, path+"/drain")
	switch {
	case err != nil:
		return api.unreached(err, "scheduler")
	case c.Undo:
		fmt.Fprintf(out, "%s is not drained any more\n", c.Name)
		return nil
	}
	fmt.Fprintf(out, "%s drains; under way: %s\n", c.Name, now.underWay())
	said := false
	for last := now; c.Wait && now.InFlight > 0; last = now {
		if !said && now.onlySockets() {
			said = true
			fmt.Fprintf(out, "waiting: %s open on %s: each ends with its client or its engine, or once nothing has passed for websocket.idle_timeout\n", now.sockets(), c.Name)
		}
		if pause(ctx, drainLook); ctx.Err() == nil {
			now, err = ask(ctx, api, http.MethodGet, path)
		}
		switch gone := (*refusedError)(nil); {
		case ctx.Err() != nil:
			return fmt.Errorf("interrupted: %s goes on draining; under way: %s (penstock drain %s --undo)", c.Name, last.underWay(), c.Name)
		case errors.As(err, &gone) && gone.status == http.StatusNotFound:
			now = drained{State: "draining"} // no source named it any more
		case err != nil:
			return fmt.Errorf("%s goes on draining: %w", c.Name, err)
		case now.State != "draining":
			return fmt.Errorf("%s is not drained any more: somebody took it back", c.Name)
		}
		if now.InFlight != last.InFlight || now.Sockets != last.Sockets {
			fmt.Fprintf(out, "%s: under way: %s\n", c.Name, now.underWay())
		}
	}
	return nil
}

func ask(ctx context.Context, api *adminAPI, method, path string) (d drained, err error) {
	_, answer, err := api.call(ctx, method, path, nil)
	if err == nil {
		err = json.Unmarshal(answer, &d)
	}
	return d, err
}
