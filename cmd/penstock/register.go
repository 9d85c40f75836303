package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"penstock/cmd/penstock/config"
)

type registerCmd struct {
	Scheduler []string `required:"" sep:"none" aliases:"admin" placeholder:"URL" help:"The router's admin port, such as http://10.0.0.2:8081; repeat for more routers. --admin is the same."`
	Instance  string   `placeholder:"URL" help:"The engine, as the router reaches it: http://10.0.0.11:8000."`
	Name      string   `placeholder:"NAME" help:"What it is called in metrics and logs. (host:port)"`
	Engine    string   `placeholder:"KIND" help:"Its engine, as in the configuration. (the router finds out)"`
	TokenFile string   `placeholder:"FILE" help:"Holds the token of discovery.register.token_file. (none)"`
	Config    string   `short:"c" placeholder:"FILE" help:"The managed service's JSON of an engine service: port and model come from it. (none)"`
}

// Help is more of register --help.
func (registerCmd) Help() string {
	return "Runs beside an engine, before it is up too. The registration ends with this process: at once if it is told to end (SIGTERM); " +
		"if its connection breaks, others get the requests within milliseconds, and it is over after two seconds; after the router's ttl if the machine falls silent. " +
		"Whatever the router answers but a 400, it tries again. With several routers there is one registration with each, and each goes on whatever the others say.\n\n" +
		"Example: penstock register --scheduler http://10.0.0.2:8081 --instance http://10.0.0.11:8000 --token-file /etc/penstock/register.token"
}

func (c *registerCmd) Run(_ io.Writer) error {
	log := newLog(config.Log{Level: slog.LevelInfo}, os.Stderr)
	var all registrars
	for _, scheduler := range c.Scheduler {
		r, err := c.registrar(scheduler, log)
		if err != nil {
			return usage(err)
		}
		all = append(all, r)
	}
	ctx, end := untilSignal(log, "taking the registration back")
	defer end()
	return all.run(ctx)
}

// registrar keeps the registration with one router.
func (c *registerCmd) registrar(scheduler string, log *slog.Logger) (*registrar, error) {
	u, err := adminBase(scheduler)
	if err != nil {
		return nil, err
	}
	r := &registrar{id: rand.Text(), body: map[string]any{}, log: log.With("scheduler", u.String()), every: time.Second}
	if r.tokenFile = c.TokenFile; c.TokenFile != "" {
		if r.api.token, err = config.ReadToken(c.TokenFile); err != nil {
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
		r.log.Warn("the router is on another machine, where this URL leads to itself", "instance", instance)
	}
	// One connection, kept: its end is what tells the router.
	r.api.base = u.String()
	r.api.http = http.Client{Timeout: registerTimeout, Transport: &http.Transport{MaxConnsPerHost: 1, IdleConnTimeout: 0, DialContext: r.dial}}
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
