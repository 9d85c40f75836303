package admin

import (
	"fmt"
	"net/http"
)

// index says in plain text what is where, and how things stand.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "Penstock %s (%s)\n\n", s.Build.Version, s.Build.Commit)
	st := s.Gateway.Stats()
	fmt.Fprintf(w, "%d requests inside, %d of them held; %d answered, %d failed by the router\n\n", st.Current, st.Pending, st.Requests, st.Errors)
	fmt.Fprintf(w, "%-28s %-9s %8s %8s %6s %9s\n", "instance", "state", "running", "waiting", "KV", "in flight")
	for _, i := range s.Scheduler.Instances() {
		x := i.Status()
		fmt.Fprintf(w, "%-28s %-9s %8d %8d %5.0f%% %9d  %s\n", i.Name, x.State, x.Running, x.Waiting, 100*x.KVUsage, x.InFlight, x.Reason)
	}
	fmt.Fprint(w, `
/metrics              for Prometheus or VictoriaMetrics
/api/v1/instances     the same as above, whole, in JSON
/api/v1/config        the effective configuration (Accept: application/yaml for YAML)
/healthz /readyz      the process lives; it can route
/debug/pprof/         profiles of the process
`)
}
