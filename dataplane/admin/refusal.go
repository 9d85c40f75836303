package admin

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// refusedEvery is how often one reason is logged.
	refusedEvery = time.Minute
	// refusedText bounds a text in the log: a client's bytes are in it.
	refusedText = 300
)

// refusals ration the log of what was refused: a registrar that has the wrong
// token asks every two seconds.
type refusals struct {
	mu sync.Mutex
	by map[string]*refusal // by the error's code, of which there are few
}

type refusal struct {
	at   time.Time // when it was last logged
	left int       // out since
}

// take says whether to log a refusal with that code, and how many were not.
func (r *refusals) take(code string, now time.Time) (say bool, left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = make(map[string]*refusal)
	}
	last := r.by[code]
	if last == nil {
		last = new(refusal)
		r.by[code] = last
	}
	if now.Sub(last.at) < refusedEvery {
		last.left++
		return false, 0
	}
	left = last.left
	last.at, last.left = now, 0
	return true, left
}

// refuse is fail for what would have changed something: the operator is told
// too, for whoever asked may be a program that nobody watches.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	if say, left := s.refused.take(code, time.Now()); say {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		attrs := []any{"request", r.Method + " " + brief(r.URL.Path), "from", from, "status", status, "reason", brief(message)}
		if left > 0 {
			attrs = append(attrs, "left_out", left)
		}
		s.Log.Warn("refused at the admin port", attrs...)
	}
	fail(w, status, code, message)
}

// brief cuts what a client may have made long.
func brief(s string) string {
	if len(s) <= refusedText {
		return s
	}
	return strings.ToValidUTF8(s[:refusedText], "") + "…"
}
