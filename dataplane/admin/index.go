package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"penstock/scheduler"
)

// index says in plain text what is where, and how things stand.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "Penstock %s\n\n", s.Build)
	st := s.Gateway.Stats()
	fmt.Fprintf(w, "%d requests inside, %d of them held; %d answered, %d refused or failed\n\n", st.Current, st.Pending, st.Requests, st.Errors)
	fmt.Fprintf(w, "%-28s %-9s %11s %11s %11s %9s\n", "instance", "state", "running", "waiting", "KV", "in flight")
	for _, i := range s.Scheduler.Instances() {
		x := i.Status()
		fmt.Fprintf(w, "%-28s %-9s %11s %11s %11s %9d  %s\n", i.Name, x.State, heard(&x, "running", "%d", x.Running), heard(&x, "waiting", "%d", x.Waiting),
			heard(&x, "kv_usage", "%.0f%%", 100*x.KVUsage), x.InFlight, x.Reason)
	}
	fmt.Fprint(w, `
running, waiting, KV: as the engine's own metrics say, with their age if it is above 2 s; -: not heard, or not believed
in flight: as this router counts itself
`)
	s.tellDiscovery(w)
	fmt.Fprint(w, `
/metrics              for Prometheus or VictoriaMetrics
/api/v1/instances     the same as above, whole, in JSON
/api/v1/decisions     the latest decisions and what they were made from (?n=, ?request_id=); penstock explain tells them in words
/api/v1/config        the effective configuration (Accept: application/yaml for YAML)
/healthz /readyz      the process lives; it can route
/debug/pprof/         profiles of the process
`)
}

// oldAge is from when on the page says how old something is.
const oldAge = 2 * time.Second

// heard is v as the engine's signal said it, with its age if it is old, or -
// where it is not known.
func heard(x *scheduler.Status, signal, format string, v any) string {
	at := slices.IndexFunc(x.Signals, func(s scheduler.Signal) bool { return s.Name == signal && s.Alive && s.Age >= 0 })
	if at < 0 {
		return "-"
	}
	text := fmt.Sprintf(format, v)
	if age := x.Signals[at].Age; age > oldAge {
		text += fmt.Sprintf(" (%.0f s)", age.Seconds())
	}
	return text
}

// String is the version, with the commit where that does not say it already.
func (b Build) String() string {
	if strings.Contains(b.Version, b.Commit[:min(len(b.Commit), 7)]) {
		return b.Version
	}
	return b.Version + " (" + b.Commit + ")"
}
