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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"penstock/cmd/penstock/config"
	"penstock/dataplane/admin"
)

const (
	// registerTimeout bounds one call to the scheduler, the last one too.
	registerTimeout = 2 * time.Second
	// registerBackoff bounds how long it waits for a scheduler that is away.
	registerBackoff = 2 * time.Second
	// registerEvery is how often it renews at least: what stands between may
	// close a connection that is idle for a minute.
	registerEvery = 30 * time.Second
	// registerStays is how long a connection must have lasted for its end to be
	// answered at once; sooner, and that often in a row, something closes it after
	// each answer, and the registration lives by its time alone.
	registerStays = time.Second
	registerEnds  = 3
)

// probing makes the kernel ask each second whether the connection is there at
// the other end too: one that a router in between forgot is found without a
// request.
var probing = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3}

// registrar keeps one registration alive.
type registrar struct {
	scheduler string // scheme://host:port
	token     string
	tokenFile string // "": none
	id        string // tells this process from another for the same engine
	body      map[string]any
	http      http.Client
	log       *slog.Logger

	every time.Duration // between renewals
	conn  atomic.Pointer[endingConn]
	ends  int    // of the connection, in a row, that came too soon
	state string // the last thing that was said
}

// dial makes a connection whose end is heard of: the transport reads from it
// while it is idle, and closes it then.
func (r *registrar) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: probing}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := &endingConn{Conn: c, ended: make(chan struct{})}
	r.conn.Store(conn)
	return conn, nil
}

// endingConn says when it is closed.
type endingConn struct {
	net.Conn
	once  sync.Once
	ended chan struct{}
}

func (c *endingConn) Close() error {
	c.once.Do(func() { close(c.ended) })
	return c.Conn.Close()
}

func (c *endingConn) isOver() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
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
		case refused != nil:
			failures++
			r.readToken()
			r.say("the scheduler refuses; trying again", refused.Error(), "err", err)
		case err != nil:
			failures, r.ends = failures+1, 0
			r.say("the scheduler cannot be reached; trying again", "", "err", err)
		default:
			failures, name = 0, said.Name
			r.every = said.every()
			r.say("registered", said.Name, "instance", said.Name, "scheduler", r.scheduler)
		}
		if failures > 0 {
			pause(ctx, min(50*time.Millisecond<<min(failures, 10), registerBackoff))
		} else {
			r.rest(ctx)
		}
		if ctx.Err() != nil {
			return r.withdraw(name)
		}
	}
}

// readToken takes the token anew: it may have been put in order.
func (r *registrar) readToken() {
	if r.tokenFile == "" {
		return
	}
	if token, err := config.ReadToken(r.tokenFile); err == nil {
		r.token = token
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// rest waits for the next renewal, which is now when the connection ends.
func (r *registrar) rest(ctx context.Context) {
	began, conn := time.Now(), r.conn.Load()
	ended := conn.ended
	if !r.stands() {
		ended = nil
	}
	select {
	case <-ctx.Done():
	case <-time.After(r.every):
		if !conn.isOver() {
			r.ends = 0
		}
	case <-ended:
		if time.Since(began) >= registerStays {
			r.ends = 0
		} else if r.ends++; !r.stands() {
			r.log.Warn("something closes the connection after each answer; the registration lives by its ttl alone", "scheduler", r.scheduler)
		}
	}
}

// stands says whether the registration lives by its connection.
func (r *registrar) stands() bool { return r.ends < registerEnds }

// say logs a state once, and again when its detail changes.
func (r *registrar) say(state, detail string, more ...any) {
	if key := state + detail; r.state != key {
		r.state = key
		r.log.Info(state, more...)
	}
}

// registered is the scheduler's answer.
type registered struct {
	Name  string `json:"name"`
	TTLms int64  `json:"ttl_ms"`
}

// every is how often to renew: two renewals may be lost.
func (r registered) every() time.Duration {
	ttl := time.Duration(r.TTLms) * time.Millisecond
	return max(min(ttl/3, registerEvery), 10*time.Millisecond)
}

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

// final says whether asking again is of no use. Only what is malformed stays so: a
// name becomes free, a token is put in order, registration is turned on.
func (e *refusedError) final() bool { return e.status == http.StatusBadRequest }

const maxAnswer = 64 << 10

func (r *registrar) call(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.scheduler+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(admin.Owner, r.id)
	if r.stands() {
		req.Header.Set(admin.KeepAlive, "1")
	}
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
