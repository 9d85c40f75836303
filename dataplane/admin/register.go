package admin

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"

	"penstock/scheduler/discovery"
)

// KeepAlive is the header of a registration that lives as long as the connection
// it came over.
const KeepAlive = "X-Penstock-Keepalive"

// Owner is the header with an id of whoever keeps a registration. Two may keep
// one: the end of the first, by DELETE with its id, leaves it to the second.
const Owner = "X-Penstock-Owner"

// maxOwner bounds such an id.
const maxOwner = 128

// Registration lets instances register here.
type Registration struct {
	Registry *discovery.Registry
	Token    string // "": none is needed
	// Check completes what an instance said of itself. Its error begins with the
	// key that is wrong.
	Check func(discovery.Target) (discovery.Target, error)
}

const maxRegistration = 64 << 10

// announcement is the body of POST /api/v1/instances.
type announcement struct {
	URL         string   `json:"url"`
	Name        string   `json:"name"`
	Engine      string   `json:"engine"`
	Models      []string `json:"models"`
	MaxInFlight int      `json:"max_in_flight"`
	KVEvents    string   `json:"kv_events"`
	Type        string   `json:"type"`
}

// register is POST /api/v1/instances: a new instance, or one that is still
// there.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	if !s.mayChange(w, r) {
		return
	}
	if len(r.Header.Get(Owner)) > maxOwner {
		s.refuse(w, r, http.StatusBadRequest, "invalid_request", Owner+": 128 bytes at most")
		return
	}
	var a announcement
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRegistration))
	body.DisallowUnknownFields()
	if err := body.Decode(&a); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			s.refuse(w, r, http.StatusRequestEntityTooLarge, "body_too_large", "a registration has 64 KiB at most")
			return
		}
		s.refuse(w, r, http.StatusBadRequest, "invalid_request", `the body: `+err.Error()+`; want {"url": "http://10.0.0.11:8000"}, and if you like name, engine, models, max_in_flight`)
		return
	}
	switch {
	case a.Type == "queue":
		s.refuse(w, r, http.StatusConflict, "conflict", "a service queue may not be in a router's group: two schedulers would feed one engine")
		return
	case a.Type != "":
		s.refuse(w, r, http.StatusBadRequest, "invalid_request", "type: not known here: leave it out")
		return
	case a.KVEvents != "":
		s.refuse(w, r, http.StatusBadRequest, "invalid_request", "kv_events: not there yet: leave it out")
		return
	}
	s.put(w, r, discovery.Target{URL: a.URL, Name: a.Name, Engine: a.Engine, Models: a.Models, MaxInFlight: a.MaxInFlight})
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, t discovery.Target) {
	t, err := s.Registration.Check(t)
	if err != nil {
		s.refuse(w, r, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	if i := s.Scheduler.Named(t.Name); i != nil && i.URL != t.URL && !i.Leaving() {
		s.refuse(w, r, http.StatusConflict, "conflict", "instance "+t.Name+": "+i.URL+" has this name already")
		return
	}
	var conn any
	if r.Header.Get(KeepAlive) != "" {
		conn = r.Context().Value(connKey{})
	}
	fresh, err := s.Registration.Registry.Put(t, r.Header.Get(Owner), conn)
	switch {
	case errors.Is(err, discovery.ErrRegistryFull):
		s.refuse(w, r, http.StatusServiceUnavailable, "registry_full", err.Error())
	case err != nil:
		s.refuse(w, r, http.StatusConflict, "conflict", t.Name+": "+err.Error())
	case fresh:
		answer(w, http.StatusCreated, s.registered(t))
	default:
		answer(w, http.StatusOK, s.registered(t))
	}
}

func (s *Server) registered(t discovery.Target) map[string]any {
	return map[string]any{"name": t.Name, "ttl_ms": s.Registration.Registry.TTL.Milliseconds()}
}

// deregister is DELETE /api/v1/instances/{name}.
func (s *Server) deregister(w http.ResponseWriter, r *http.Request) {
	if !s.mayChange(w, r) {
		return
	}
	name := r.PathValue("name")
	gone := s.Registration.Registry.Delete(name, r.Header.Get(Owner))
	switch i := s.Scheduler.Named(name); {
	case gone:
		w.WriteHeader(http.StatusNoContent)
	case i != nil && !i.Leaving():
		s.refuse(w, r, http.StatusConflict, "conflict", name+" did not register: take it out of the configuration, the file or DNS that names it, or drain it")
	default:
		noInstance(w, name)
	}
}

// drain is POST and DELETE /api/v1/instances/{name}/drain.
func (s *Server) drain(on bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.Registration != nil && !s.authorized(w, r) {
			return
		}
		name := r.PathValue("name")
		if !s.Scheduler.Drain(name, on) {
			noInstance(w, name)
			return
		}
		if i := s.Scheduler.Named(name); i != nil {
			answer(w, http.StatusOK, s.show(i))
			return
		}
		answer(w, http.StatusOK, map[string]any{"name": name}) // the drain of one that is gone
	}
}

// mayChange says whether registrations are taken, and from this client.
func (s *Server) mayChange(w http.ResponseWriter, r *http.Request) bool {
	if s.Registration == nil {
		s.refuse(w, r, http.StatusNotFound, "registration_off", "registration is not turned on: the configuration's discovery.register does it")
		return false
	}
	return s.authorized(w, r)
}

func (s *Server) authorized(w http.ResponseWriter, r *http.Request) bool {
	if s.Registration.Token == "" || s.hasToken(r) {
		return true
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	said := "the token is not that of discovery.register.token_file"
	if r.Header.Get("Authorization") == "" {
		said = "there is no token: need that of discovery.register.token_file, as Authorization: Bearer TOKEN"
	}
	s.refuse(w, r, http.StatusUnauthorized, "invalid_token", said)
	return false
}

func (s *Server) hasToken(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(token), []byte(s.Registration.Token)) == 1
}

// connKey is where a request's context has its connection.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connState notices the end of connections that registrations live by.
func (s *Server) connState(c net.Conn, state http.ConnState) {
	if state == http.StateClosed && s.Registration != nil {
		s.Registration.Registry.Dropped(c)
	}
}

func noInstance(w http.ResponseWriter, name string) {
	fail(w, http.StatusNotFound, "instance_not_found", "no instance has the name "+name)
}
