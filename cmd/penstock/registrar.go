package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
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
	// complainAgain is how often the log repeats what goes wrong.
	complainAgain = time.Minute
)

// probing makes the kernel ask each second whether the connection is there at
// the other end too: one that a router in between forgot is found without a
// request.
var probing = net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3}

// registrar keeps one registration alive.
type registrar struct {
	api       adminAPI
	tokenFile string // "": none
	id        string // tells this process from another for the same engine
	body      map[string]any
	log       *slog.Logger // names the scheduler

	every time.Duration // between renewals
	conn  atomic.Pointer[endingConn]
	ends  int // of the connection, in a row, that came too soon

	state  string    // the last thing that was said
	saidAt time.Time // when
	tries  int       // in vain, in a row
}

// registrars keep one registration each, with a router each.
type registrars []*registrar

// run ends with the last of them: those that a router refuses for good leave the
// others alone.
func (all registrars) run(ctx context.Context) error {
	errs := make([]error, len(all))
	var under sync.WaitGroup
	for n, r := range all {
		under.Go(func() {
			if errs[n] = r.run(ctx); errs[n] != nil && len(all) > 1 {
				r.log.Error("given up here; the other routers are not concerned", "err", errs[n])
			}
		})
	}
	under.Wait()
	return cmp.Or(errs...)
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
	var name string
	for {
		// To its end: one that is broken off may have registered, and nobody would
		// know what to take back.
		said, err := r.announce(context.WithoutCancel(ctx))
		var refused *refusedError
		switch {
		case errors.As(err, &refused) && refused.final():
			return err
		case refused != nil:
			r.readToken()
			r.complain("the scheduler refuses; trying again", refused.message, "status", refused.status, "reason", refused.message)
		case err != nil:
			r.ends = 0
			r.complain("the scheduler cannot be reached; trying again", "", "err", err)
		default:
			if said.fresh && name != "" {
				r.log.Warn("the scheduler had let the registration go: it was started anew, or heard nothing for too long")
				r.state = ""
			}
			r.tries, name = 0, said.Name
			r.every = said.every()
			r.say("registered", said.Name, "instance", said.Name)
		}
		if r.tries > 0 {
			pause(ctx, min(50*time.Millisecond<<min(r.tries, 10), registerBackoff))
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
		r.api.token = token
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
			r.log.Warn("something closes the connection after each answer; the registration lives by its ttl alone")
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

// complain logs what goes wrong once, and again while it lasts, with how many
// times it was tried.
func (r *registrar) complain(state, detail string, more ...any) {
	r.tries++
	key, now := state+detail, time.Now()
	if key == r.state && now.Sub(r.saidAt) < complainAgain {
		return
	}
	r.state, r.saidAt = key, now
	r.log.Warn(state, append(more, "tries", r.tries)...)
}

// registered is the scheduler's answer.
type registered struct {
	Name  string `json:"name"`
	TTLms int64  `json:"ttl_ms"`
	fresh bool   // it was not there before
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
	status, answer, err := r.call(ctx, http.MethodPost, "/api/v1/instances", body)
	if err == nil {
		err = json.Unmarshal(answer, &said)
	}
	said.fresh = status == http.StatusCreated
	return said, err
}

// withdraw ends the registration, if there is one.
func (r *registrar) withdraw(name string) error {
	if name == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), registerTimeout)
	defer cancel()
	if _, _, err := r.call(ctx, http.MethodDelete, "/api/v1/instances/"+url.PathEscape(name), nil); err != nil {
		r.log.Warn("the registration could not be taken back; it ends by itself", "err", err)
		return nil
	}
	r.log.Info("registration taken back", "instance", name)
	return nil
}

// final says whether asking again is of no use. Only what is malformed stays so: a
// name becomes free, a token is put in order, registration is turned on.
func (e *refusedError) final() bool { return e.status == http.StatusBadRequest }

// call is the API's, for this registration.
func (r *registrar) call(ctx context.Context, method, path string, body []byte) (status int, answer []byte, err error) {
	headers := []string{admin.Owner, r.id}
	if r.stands() {
		headers = append(headers, admin.KeepAlive, "1")
	}
	return r.api.call(ctx, method, path, body, headers...)
}
