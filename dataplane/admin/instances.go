package admin

import (
	"net/http"
	"strings"

	"penstock/scheduler"
)

// instance is one instance as the API shows it. What a later part of Penstock
// knows (the kernel's counters, predictions) is not there yet.
type instance struct {
	Name     string   `json:"name"`
	URL      string   `json:"url"`
	Engine   string   `json:"engine"`
	Models   []string `json:"models"`
	State    string   `json:"state"`
	Reason   string   `json:"reason"`
	Running  int      `json:"running"`
	Waiting  int      `json:"waiting"`
	KVUsage  float64  `json:"kv_usage"`
	KVTokens int      `json:"kv_capacity_tokens"`
	InFlight int      `json:"in_flight"`
	Pending  int      `json:"pending"`
	Prefill  int      `json:"prefill_tokens_in_flight"`
	Requests uint64   `json:"requests"`

	Signals map[string]signal `json:"signals"`
}

// signal is one thing that an engine reports. AgeMS is null until it did.
type signal struct {
	AgeMS *int64 `json:"age_ms"`
	Alive bool   `json:"alive"`
}

func (s *Server) show(i *scheduler.Instance) instance {
	st := i.Status()
	in := instance{
		Name: i.Name, URL: i.URL, Engine: string(st.Engine), Models: append([]string{}, st.Models...),
		State: st.State.String(), Reason: st.Reason, Running: st.Running, Waiting: st.Waiting,
		KVUsage: st.KVUsage, KVTokens: st.KVCapacityTokens, InFlight: st.InFlight, Pending: s.Gateway.PendingAt(i),
		Prefill: st.PrefillTokens, Requests: st.Requests, Signals: make(map[string]signal, len(st.Signals)),
	}
	for _, sig := range st.Signals {
		shown := signal{Alive: sig.Alive}
		if sig.Age >= 0 {
			ms := sig.Age.Milliseconds()
			shown.AgeMS = &ms
		}
		in.Signals[sig.Name] = shown
	}
	return in
}

func (s *Server) instances(w http.ResponseWriter, _ *http.Request) {
	list := []instance{}
	for _, i := range s.Scheduler.Instances() {
		list = append(list, s.show(i))
	}
	answer(w, http.StatusOK, map[string]any{"instances": list})
}

func (s *Server) instance(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	for _, i := range s.Scheduler.Instances() {
		if i.Name == name {
			answer(w, http.StatusOK, s.show(i))
			return
		}
	}
	fail(w, http.StatusNotFound, "instance_not_found", "no instance has the name "+name)
}

func accepts(r *http.Request, what string) bool {
	return strings.Contains(r.Header.Get("Accept"), what)
}
