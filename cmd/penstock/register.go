package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"penstock/cmd/penstock/config"
	"penstock/dataplane/admin"
)

const (
	// registerTimeout bounds one call to the scheduler, the last one too.
	registerTimeout = 2 * time.Second
	// registerBackoff bounds how long it waits for a scheduler that is away.
	registerBackoff = 2 * time.Second
)

type registerCmd struct {
	Scheduler string `required:"" placeholder:"URL" help:"The router's admin port, such as http://10.0.0.2:8081."`
	Instance  string `placeholder:"URL" help:"The engine, as the router reaches it: http://10.0.0.11:8000."`
	Name      string `placeholder:"NAME" help:"What it is called in metrics and logs. (host:port)"`
	Engine    string `placeholder:"KIND" help:"Its engine, as in the configuration. (the router finds out)"`
	TokenFile string `placeholder:"FILE" help:"Holds the token of discovery.register.token_file. (none)"`
	Config    string `short:"c" placeholder:"FILE" help:"The managed service's JSON of an engine service: port and model come from it. (none)"`
}

// Help is more of register --help.
func (registerCmd) Help() string {
	return "Runs beside an engine, before it is up too. The registration ends with this process: at once if it is told to end (SIGTERM), " +
		"within milliseconds if its connection breaks, after the router's ttl if the machine falls silent.\n\n" +
		"Example: penstock register --scheduler http://10.0.0.2:8081 --instance http://10.0.0.11:8000 --token-file /etc/penstock/register.token"
}

func (c *registerCmd) Run(_ io.Writer) error {
	log := newLog(config.Log{Level: slog.LevelInfo}, os.Stderr)
	r, err := c.registrar(log)
	if err != nil {
		return usage(err)
	}
	ctx, end := untilSignal(log)
	defer end()
	return r.run(ctx)
}

// registrar keeps one registration alive.
type registrar struct {
	scheduler string // scheme://host:port
	token     string
	body      map[string]any
	http      http.Client
	log       *slog.Logger

	every time.Duration // between renewals
	state string        // the last thing that was said
}

func (c *registerCmd) registrar(log *slog.Logger) (*registrar, error) {
	u, err := url.Parse(c.Scheduler)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--scheduler: %q: need a URL such as http://10.0.0.2:8081", c.Scheduler)
	}
	r := &registrar{scheduler: u.Scheme + "://" + u.Host, body: map[string]any{}, log: log, every: time.Second}
	if c.TokenFile != "" {
		if r.token, err = config.ReadToken(c.TokenFile); err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
	}
	instance := c.Instance
	if c.Config != "" {
		service, err := config.ReadService(c.Config)
		if err != nil {
			return nil, err
		}
		if instance == "" {
			instance = "http://" + net.JoinHostPort(ownAddress(u.Host), fmt.Sprint(service.Port))
		}
		if service.Model != "" {
			r.body["models"] = []string{service.Model}
		}
	}
	if instance == "" {
		return nil, errors.New("--instance: need the engine's URL, such as http://10.0.0.11:8000")
	}
	r.body["url"] = instance
	for key, value := range map[string]string{"name": c.Name, "engine": c.Engine} {
		if value != "" {
			r.body[key] = value
		}
	}
	if i, err := url.Parse(instance); err == nil && isLoopback(i.Hostname()) && !isLoopback(u.Hostname()) {
		log.Warn("the router is on another machine, where this URL leads to itself", "instance", instance, "scheduler", r.scheduler)
	}
	// One connection, kept: its end is what tells the router.
	r.http = http.Client{Timeout: registerTimeout, Transport: &http.Transport{MaxConnsPerHost: 1, IdleConnTimeout: 0}}
	return r, nil
}

func isLoopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// ownAddress is this machine's address on the way to host: no packet is sent.
func ownAddress(host string) string {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "80")
	}
	conn, err := net.Dial("udp", host)
	if err != nil {
		return "127.0.0.1"
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP.String()
}

// run registers and renews until ctx ends, and then takes the registration back.
func (r *registrar) run(ctx context.Context) error {
	failures := 0
	var name string
	for {
		said, err := r.announce(ctx)
		var refused *refusedError
		switch {
		case ctx.Err() != nil:
			return r.withdraw(name)
		case errors.As(err, &refused) && refused.final():
			return err
		case err != nil:
			failures++
			r.say("the scheduler cannot be reached; trying again", "err", err)
		default:
			failures, name = 0, said.Name
			r.every = max(said.ttl()/3, 10*time.Millisecond)
			r.say("registered", "instance", said.Name, "scheduler", r.scheduler)
		}
		wait := r.every
		if failures > 0 {
			wait = min(50*time.Millisecond<<min(failures, 10), registerBackoff)
		}
		select {
		case <-ctx.Done():
			return r.withdraw(name)
		case <-time.After(wait):
		}
	}
}

// say logs a state once.
func (r *registrar) say(state string, more ...any) {
	if r.state != state {
		r.state = state
		r.log.Info(state, more...)
	}
}

// registered is the scheduler's answer.
type registered struct {
	Name  string `json:"name"`
	TTLms int64  `json:"ttl_ms"`
}

func (r registered) ttl() time.Duration { return time.Duration(r.TTLms) * time.Millisecond }

func (r *registrar) announce(ctx context.Context) (said registered, err error) {
	body, err := json.Marshal(r.body)
	if err != nil {
		return said, err
	}
	answer, err := r.call(ctx, http.MethodPost, "/api/v1/instances", body)
	if err == nil {
		err = json.Unmarshal(answer, &said)
	}
	return said, err
}

// withdraw ends the registration, if there is one.
func (r *registrar) withdraw(name string) error {
	if name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	if _, err := r.call(ctx, http.MethodDelete, "/api/v1/instances/"+url.PathEscape(name), nil); err != nil {
		r.log.Warn("the registration could not be taken back; it ends by itself", "err", err)
		return nil
	}
	r.log.Info("registration taken back", "instance", name)
	return nil
}

// refusedError is the scheduler's no.
type refusedError struct {
	status  int
	message string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the scheduler refuses (%d): %s", e.status, e.message)
}

// final says whether asking again is of no use: a token can come later, and a
// name can become free, but what is malformed stays so.
func (e *refusedError) final() bool {
	return e.status == http.StatusBadRequest || e.status == http.StatusUnauthorized || e.status == http.StatusNotFound || e.status == http.StatusConflict
}

const maxAnswer = 64 << 10

func (r *registrar) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.scheduler+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(admin.KeepAlive, "1")
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, &refusedError{resp.StatusCode, said(answer)}
	}
	return answer, nil
}

// said is the sentence in an error's body.
func said(body []byte) string {
	var e struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &e) == nil && e.Error.Message != "" {
		return e.Error.Message
	}
	return strings.TrimSpace(string(body[:min(len(body), 200)]))
}
