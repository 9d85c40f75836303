package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"penstock/bpf"
	"penstock/dataplane"
	"penstock/scheduler"
	"penstock/scheduler/discovery"
	"penstock/scheduler/record"
	"penstock/scheduler/telemetry"
)

// Options are what the port shows.
type Options struct {
	Gateway   *dataplane.Gateway
	Scheduler *scheduler.Scheduler
	Kernel    bpf.Mode // where the kernel's counters come from
	Build     Build
	YAML      []byte // the effective configuration, secrets masked
	JSON      []byte // the same
	Log       *slog.Logger

	Decisions *record.Ring     // nil: they are not kept
	Recorder  *record.Recorder // nil: they are not recorded in a file

	Registration *Registration             // nil: instances cannot register
	Discovery    func() []discovery.Status // how the sources of instances stand; nil: there are none

	// Host is the address that the port was configured with, host:port: a name
	// there is one that it trusts.
	Host string
}

// Server is the admin port.
type Server struct {
	Options
	start   time.Time
	http    http.Server
	names   []string // that the port is called by, beside its addresses
	private bool     // only this machine reaches it; set by Serve
	refused refusals
}

// idleFor is how long a connection without a request stays.
const idleFor = 2 * time.Minute

// New prepares a server.
func New(o Options) *Server {
	s := &Server{Options: o, start: time.Now(), names: ownNames(o.Host)}
	idle := idleFor
	if o.Registration != nil {
		idle = max(idle, o.Registration.Registry.TTL) // a registration's connection waits for its renewal
	}
	s.http = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      2 * time.Minute, // bounds /debug/pprof/profile?seconds= too
		IdleTimeout:       idle,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withConn,
		ConnState:         s.connState,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// shutdownTimeout is how long answers under way may take at the end.
const shutdownTimeout = 2 * time.Second

// Serve answers on ln until ctx ends.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.private = isLoopback(ln.Addr())
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("admin port: %w", err)
	case <-ctx.Done():
	}
	over, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if s.http.Shutdown(over) != nil {
		s.http.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin port: %w", err)
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.HandleFunc("GET /api/v1/instances", s.instances)
	mux.HandleFunc("GET /api/v1/instances/{name}", s.instance)
	mux.HandleFunc("GET /api/v1/discovery", s.discovery)
	mux.HandleFunc("GET /api/v1/config", s.config)
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("POST /api/v1/instances", s.register)
	mux.HandleFunc("DELETE /api/v1/instances/{name}", s.deregister)
	mux.HandleFunc("POST /api/v1/instances/{name}/drain", s.drain(true))
	mux.HandleFunc("DELETE /api/v1/instances/{name}/drain", s.drain(false))
	mux.HandleFunc("GET /api/v1/decisions", s.decisions)
	return s.guard(plainErrors(mux))
}

// plainErrors turns the mux's own 404 and 405 into the router's shape.
func plainErrors(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		probe := &statusOnly{header: make(http.Header)}
		h.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.header.Get("Allow"))
			fail(w, probe.status, "method_not_allowed", r.URL.Path+" takes "+probe.header.Get("Allow"))
			return
		}
		fail(w, http.StatusNotFound, "route_not_found", r.URL.Path+" is not served here; / says what is")
	})
}

// statusOnly takes an answer for its status and headers.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(p []byte) (int, error) { return len(p), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// fail answers in OpenAI's shape, as the data port does.
func fail(w http.ResponseWriter, status int, code, message string) {
	kind := "invalid_request_error"
	if status >= 500 {
		kind = "server_error"
	}
	w.Header().Set("X-Penstock-Error", code)
	answer(w, status, map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": code}})
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(b, '\n'))
}

// readyz says whether a request would find an instance.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.Gateway.Draining():
		fail(w, http.StatusServiceUnavailable, "draining", "the router is shutting down")
	case len(s.Scheduler.Instances()) == 0:
		fail(w, http.StatusServiceUnavailable, "no_instance", "no instance yet: none is configured, found or registered; /api/v1/discovery says how they are looked for")
	case !s.Gateway.Routable():
		fail(w, http.StatusServiceUnavailable, "no_instance", "no instance is alive")
	default:
		fmt.Fprintln(w, "ok")
	}
}

// config shows the effective configuration: JSON, or YAML for who asks for it.
func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	if accepts(r, "yaml") {
		w.Header().Set("Content-Type", "application/yaml")
		w.Write(s.YAML)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(s.JSON)
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	var page telemetry.Writer
	s.Collect(&page)
	w.Write(page.Bytes())
}
