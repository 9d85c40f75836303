package dataplane

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Config is everything that the data plane can be told. Durations of 0 mean
// "no limit" where that makes sense and are refused by Validate elsewhere.
type Config struct {
	Listen      []string // "host:port" or "unix:/path"
	Group, Name string   // together the prefix /api/predict/{Group}.{Name}_llm_gateway/

	Queue  Queue
	Retry  Retry
	Limits Limits
	Auth   Auth
	Routes Routes

	WebSocket WebSocket

	ConnectTimeout  time.Duration // to an instance, TCP
	ResponseTimeout time.Duration // to the first body byte of an answer; 0: none
	DrainTimeout    time.Duration // how long streams may finish after the end was asked for
}

// Queue bounds the requests that are held because every instance is full.
type Queue struct {
	MaxSize int           // requests held at once; 0: none is ever held
	Timeout time.Duration // longest hold; 0: none

	// Promised is the SLO's time to a first token: who has waited for as long is
	// refused. 0: none.
	Promised time.Duration
}

// Retry says how often a request may go to another instance.
type Retry struct {
	Count int // further instances after the first
}

// Limits bound what a client can make the gateway hold or wait for.
type Limits struct {
	HeaderBytes   int           // a request's head
	BodyBytes     int64         // one request's body
	HeldBytes     int64         // all bodies held at once
	HeaderTimeout time.Duration // from a head's first byte to its last
	BodyTimeout   time.Duration // from the head to the body's last byte
	IdleTimeout   time.Duration // between two requests of a connection
	StallTimeout  time.Duration // no byte of an answer moves, in or out
	Connections   int           // clients at once; 0: no limit
}

// Engine keys: what an instance sees of a client's key.
const (
	EngineKeyDrop        = "drop"
	EngineKeyPassthrough = "passthrough"
)

// Auth names the clients. Without keys everybody is let in.
type Auth struct {
	Keys      []Key
	EngineKey string // EngineKeyDrop or EngineKeyPassthrough
}

// Key is one client's key. Only its digest is kept.
type Key struct {
	Name     string
	Digest   [32]byte // SHA-256 of the key
	Models   []string // models it may ask for; empty: all
	Explain  bool     // may ask why an instance was chosen
	Priority int      // larger goes first

	// Limits; 0: none.
	RequestsPerMinute int
	TokensPerMinute   int
	MaxInFlight       int
}

// WebSocket bounds what clients may have of them.
type WebSocket struct {
	Origins     []string      // of pages that may connect; empty: all
	PerKey      int           // connections of a key; 0: any number
	Requests    int           // with an id, under way on a connection
	IdleTimeout time.Duration // how long a connection may ask for nothing; 0: for ever
	Paths       []string      // of WebSockets that pass through, beside /v1/realtime
}

// Routes adds paths to those that are routed by default.
type Routes struct {
	Allow []string
}

// DefaultConfig is what INTERFACE.md promises where a file is silent.
func DefaultConfig() Config {
	return Config{
		Listen: []string{"127.0.0.1:8080"},
		Group:  "llm_group",
		Name:   "llm_router",
		Queue:  Queue{MaxSize: 128},
		Retry:  Retry{Count: 2},
		Limits: Limits{
			HeaderBytes:   32 << 10,
			BodyBytes:     64 << 20,
			HeldBytes:     1 << 30,
			HeaderTimeout: 10 * time.Second,
			BodyTimeout:   60 * time.Second,
			IdleTimeout:   120 * time.Second,
			StallTimeout:  60 * time.Second,
		},
		WebSocket:      WebSocket{Requests: 16, IdleTimeout: time.Hour},
		Auth:           Auth{EngineKey: EngineKeyPassthrough},
		ConnectTimeout: time.Second,
		DrainTimeout:   30 * time.Second,
	}
}

// Validate says all that is wrong with c, naming each key as it stands in a file.
func (c *Config) Validate() error {
	var all []error
	if len(c.Listen) == 0 {
		all = append(all, errors.New("listen: no address"))
	}
	for _, part := range []struct{ key, v string }{{"group", c.Group}, {"name", c.Name}} {
		if part.v == "" || strings.ContainsAny(part.v, "/? #%") {
			all = append(all, fmt.Errorf("%s: need a value that can stand in a path", part.key))
		}
	}
	if c.Auth.EngineKey != EngineKeyDrop && c.Auth.EngineKey != EngineKeyPassthrough {
		all = append(all, fmt.Errorf("auth.engine_key: %q is neither %q nor %q", c.Auth.EngineKey, EngineKeyDrop, EngineKeyPassthrough))
	}
	return errors.Join(append(append(all, c.checkPaths()...), c.checkBounds()...)...)
}

func (c *Config) checkBounds() (all []error) {
	number := func(v int64) string { return strconv.FormatInt(v, 10) }
	for _, b := range []struct {
		key          string
		v, low, high int64
		text         func(int64) string
	}{
		{"queue.max_size", int64(c.Queue.MaxSize), 0, 1 << 20, number},
		{"queue.timeout", int64(c.Queue.Timeout), 0, int64(24 * time.Hour), durationText},
		{"retry.count", int64(c.Retry.Count), 0, maxRetries, number},
		{"limits.header_bytes", int64(c.Limits.HeaderBytes), 1 << 10, 1 << 20, bytesText},
		{"limits.body_bytes", c.Limits.BodyBytes, 1, 4 << 30, bytesText},
		{"limits.held_bytes", c.Limits.HeldBytes, c.Limits.BodyBytes, 1 << 40, bytesText},
		{"limits.header_timeout", int64(c.Limits.HeaderTimeout), 1, int64(time.Hour), durationText},
		{"limits.body_timeout", int64(c.Limits.BodyTimeout), 1, int64(time.Hour), durationText},
		{"limits.idle_timeout", int64(c.Limits.IdleTimeout), 1, int64(24 * time.Hour), durationText},
		{"limits.stall_timeout", int64(c.Limits.StallTimeout), 1, int64(24 * time.Hour), durationText},
		{"limits.connections", int64(c.Limits.Connections), 0, 1 << 24, number},
		{"websocket.connections_per_key", int64(c.WebSocket.PerKey), 0, 1 << 24, number},
		{"websocket.requests", int64(c.WebSocket.Requests), 1, 1 << 10, number},
		{"websocket.idle_timeout", int64(c.WebSocket.IdleTimeout), 0, int64(24 * time.Hour * 365), durationText},
		{"health.connect_timeout", int64(c.ConnectTimeout), int64(time.Millisecond), int64(time.Minute), durationText},
		{"health.response_timeout", int64(c.ResponseTimeout), 0, int64(24 * time.Hour), durationText},
	} {
		if b.v < b.low || b.v > b.high {
			all = append(all, fmt.Errorf("%s: %s is out of range: %s to %s", b.key, b.text(b.v), b.text(b.low), b.text(b.high)))
		}
	}
	return all
}

// durationText is a duration as a file has it: 1h, not 1h0m0s.
func durationText(v int64) string {
	s := time.Duration(v).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// bytesText is a size as a file has it: 64MiB.
func bytesText(v int64) string {
	unit := ""
	for _, larger := range []string{"KiB", "MiB", "GiB"} {
		if v == 0 || v%1024 != 0 {
			break
		}
		v, unit = v/1024, larger
	}
	return strconv.FormatInt(v, 10) + unit
}
