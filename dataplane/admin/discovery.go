package admin

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"penstock/scheduler/discovery"
	"penstock/scheduler/telemetry"
)

// source is one source of instances as the API shows it.
type source struct {
	Source    string     `json:"source"`
	From      string     `json:"from"` // its path or name; "" of registration
	Up        bool       `json:"up"`
	Instances int        `json:"instances"`
	Errors    uint64     `json:"errors"`
	Error     string     `json:"error"` // of now; "": none
	Since     *time.Time `json:"since"` // when that began
}

// standing is how the sources stand.
func (s *Server) standing() []discovery.Status {
	if s.Discovery == nil {
		return nil
	}
	return s.Discovery()
}

// discovery is GET /api/v1/discovery.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	sources := []source{}
	for _, st := range s.standing() {
		shown := source{Source: st.Source, From: st.From, Up: st.Up, Instances: st.Instances, Errors: st.Errors, Error: st.Error}
		if !st.Since.IsZero() {
			shown.Since = &st.Since
		}
		sources = append(sources, shown)
	}
	answer(w, http.StatusOK, map[string]any{"sources": sources})
}

// collectDiscovery writes how the sources stand.
func (s *Server) collectDiscovery(w *telemetry.Writer) {
	family := func(name, kind, help string, value func(st discovery.Status) int64) {
		w.Family(name, kind, help)
		for _, st := range s.standing() {
			w.Int(name, value(st), "source", st.Source)
		}
	}
	family("penstock_discovery_up", "gauge", "1 while the source of instances was read rightly the last time; else its last list stays.", func(st discovery.Status) int64 {
		if st.Up {
			return 1
		}
		return 0
	})
	family("penstock_discovery_instances", "gauge", "Instances in the source's list in force.", func(st discovery.Status) int64 { return int64(st.Instances) })
	family("penstock_discovery_errors_total", "counter", "Times that the source could not be read, or was wrong.", func(st discovery.Status) int64 { return int64(st.Errors) })
}

// tellDiscovery says in a line each which sources fail.
func (s *Server) tellDiscovery(w io.Writer) {
	for _, st := range s.standing() {
		if st.Error != "" {
			fmt.Fprintf(w, "\n%s: its %d instances are kept as they were since %s: %s\n", st.Source, st.Instances, st.Since.UTC().Format("15:04:05Z"), st.Error)
		}
	}
}
