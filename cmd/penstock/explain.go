package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"penstock/scheduler/record"
)

type explainCmd struct {
	RequestID string `arg:"" optional:"" name:"request-id" help:"As X-Request-Id of the answer has it, or request_id of an error; or vLLM's own chatcmpl-…, which has it in it."`
	Last      int    `placeholder:"N" help:"List the latest N decisions instead, in a line each. (none)"`
	Admin     string `aliases:"scheduler" default:"http://127.0.0.1:8081" placeholder:"URL" help:"The router's admin port; --scheduler is the same. (${default})"`
}

// explainMost is the most decisions that are asked for, and listMost the bytes of
// an answer.
const (
	explainMost = 1000
	listMost    = 64 << 20
)

// Help is more of explain --help.
func (explainCmd) Help() string {
	return "Every answer carries X-Request-Id. The router remembers its last 1024 decisions, or 8192 with serve --record.\n\n" +
		"Example: penstock explain --last 10"
}

func (c *explainCmd) Run(out io.Writer) error {
	base, err := adminBase(c.Admin, "admin")
	if err != nil {
		return usage(err)
	}
	switch {
	case (c.RequestID == "") == (c.Last == 0):
		return usage(errors.New("explain what? Give a request's id, as X-Request-Id of its answer has it, or --last N"))
	case c.Last < 0 || c.Last > explainMost:
		return usage(fmt.Errorf("--last: %d is out of range: 1 to %d", c.Last, explainMost))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return c.explain(ctx, &adminAPI{base: base.String(), most: listMost, http: http.Client{Timeout: registerTimeout}}, out)
}

// remembered is what the router answers.
type remembered struct {
	Decisions []record.Decision `json:"decisions"`
	Kept      int               `json:"kept"`
	Oldest    *time.Time        `json:"oldest"`
}

func (c *explainCmd) explain(ctx context.Context, api *adminAPI, out io.Writer) error {
	r, err := c.ask(ctx, api, c.RequestID)
	if inner, ok := within(c.RequestID); ok && err == nil && len(r.Decisions) == 0 {
		r, err = c.ask(ctx, api, inner)
	}
	if err != nil {
		return err
	}
	if len(r.Decisions) == 0 {
		return c.unknown(r)
	}
	slices.Reverse(r.Decisions)
	t := teller{width: widthOf(out), now: time.Now()}
	if c.RequestID == "" {
		t.list(r.Decisions)
	} else {
		t.request(r.Decisions)
	}
	_, err = io.WriteString(out, t.b.String())
	return err
}

// within is the request's id in that of a completion: vLLM makes the one of the
// other.
func within(id string) (inner string, ok bool) {
	for _, prefix := range []string{"chatcmpl-", "cmpl-", "resp_"} {
		if inner, ok = strings.CutPrefix(id, prefix); ok && inner != "" {
			return inner, true
		}
	}
	return "", false
}

// ask has the router's decisions: those of an id, or the last.
func (c *explainCmd) ask(ctx context.Context, api *adminAPI, id string) (*remembered, error) {
	q := url.Values{}
	if id != "" {
		q.Set("request_id", id)
	} else {
		q.Set("n", fmt.Sprint(c.Last))
		q.Set("candidates", "0")
	}
	_, answer, err := api.call(ctx, http.MethodGet, "/api/v1/decisions?"+q.Encode(), nil)
	if err != nil {
		return nil, api.unreached(err, "admin")
	}
	r := new(remembered)
	if err := json.Unmarshal(answer, r); err != nil {
		return nil, fmt.Errorf("%s: the answer is not what a router says: %w", c.Admin, err)
	}
	return r, nil
}

// widthOf is how many columns a terminal has; 0: it is none, and takes any.
func widthOf(out io.Writer) int {
	f, ok := out.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}

// unknown says how far back the router remembers.
func (c *explainCmd) unknown(r *remembered) error {
	switch {
	case r.Oldest == nil:
		return errors.New("the router has decided nothing yet")
	case c.RequestID == "":
		return errors.New("the router has no decision at hand: try again")
	}
	return fmt.Errorf("no decision of a request %q: the router remembers its last %d, back to %s (%v ago); an id is as X-Request-Id of the answer has it (of a WebSocket that passes through: of its handshake; of messages: request_id of an error, or the id in vLLM's chatcmpl-ID), and a request that was refused before a decision (a bad key, rate_limited, a bad body) has none",
		c.RequestID, r.Kept, clock(*r.Oldest), time.Since(*r.Oldest).Round(time.Second))
}
