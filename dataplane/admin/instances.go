package admin

import (
	"math"
	"net/http"
	"strings"
	"time"

	"penstock/scheduler"
	"penstock/scheduler/engine"
)

// instance is one instance as the API shows it.
type instance struct {
	Name     string   `json:"name"`
	URL      string   `json:"url"`
	Engine   string   `json:"engine"`
	Version  string   `json:"version"`
	Models   []string `json:"models"`
	State    string   `json:"state"`
	Reason   string   `json:"reason"`
	Running  *int     `json:"running"` // null, as the two below: not known
	Waiting  *int     `json:"waiting"`
	KVUsage  *float64 `json:"kv_usage"`
	KVTokens int      `json:"kv_capacity_tokens"`
	InFlight int      `json:"in_flight"`
	Sockets  int      `json:"websockets"` // of in_flight, those that pass through
	Pending  int      `json:"pending"`
	Prefill  int      `json:"prefill_tokens_in_flight"`
	TTFT     *float64 `json:"predicted_ttft_ms"` // of a usual prompt that came now; null: nothing was seen of it yet
	Requests uint64   `json:"requests"`

	Kernel  *kernel           `json:"kernel"`
	Signals map[string]signal `json:"signals"`
	Changes []change          `json:"changes"` // of the state, the latest last
}

// signal is one thing that is known of an instance. AgeMS is null until it was
// heard.
type signal struct {
	AgeMS   *int64 `json:"age_ms"`
	Alive   bool   `json:"alive"`
	Why     string `json:"why"` // it is not
	Source  string `json:"source"`
	Changed bool   `json:"ever_changed"`
}

// kernel is what the kernel counts of an instance's connections; null where it
// counts nothing. BytesIn is the gateway's own count where the kernel's does not
// advance while an answer streams; BytesInFrom says which.
type kernel struct {
	Active      uint64 `json:"active_connections"`
	Total       uint64 `json:"total_connections"`
	BytesIn     uint64 `json:"bytes_in"`
	BytesInFrom string `json:"bytes_in_from"`
	BytesOut    uint64 `json:"bytes_out"`
	SRTTMicros  uint64 `json:"srtt_us"`
	MinMicros   uint64 `json:"min_rtt_us"`
	Retransmits uint64 `json:"retransmits"`
	Timeouts    uint64 `json:"timeouts"`
	Unanswered  uint64 `json:"unanswered"`
	Resets      uint64 `json:"resets"`
	Refused     uint64 `json:"refused"`
	PeerClosed  uint64 `json:"peer_closed"`
}

func showKernel(i *scheduler.Instance) *kernel {
	c, ok := i.Wire()
	if !ok {
		return nil
	}
	return &kernel{
		Active: c.Active, Total: c.Total, BytesIn: c.BytesIn, BytesInFrom: i.BytesInFrom(), BytesOut: c.BytesOut,
		SRTTMicros: c.SRTTMicros, MinMicros: c.RTTMinMicros, Retransmits: c.Retransmits, Timeouts: c.Timeouts,
		Unanswered: c.Unanswered, Resets: c.Resets, Refused: c.Refused, PeerClosed: c.PeerClosed,
	}
}

// change is one change of an instance's state.
type change struct {
	Time   time.Time `json:"time"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Reason string    `json:"reason"`
}

// drained is what the operator drains, whether it is there or not.
type drained struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

func (s *Server) show(i *scheduler.Instance) instance {
	st := i.Status()
	in := instance{
		Name: i.Name, URL: i.URL, Engine: string(st.Engine), Version: st.Version, Models: append([]string{}, st.Models...),
		State: st.State.String(), Reason: st.Reason,
		Running: known(&st, engine.HasRunning, st.Running), Waiting: known(&st, engine.HasWaiting, st.Waiting),
		KVUsage: known(&st, engine.HasKVUsage, st.KVUsage), KVTokens: st.KVCapacityTokens, InFlight: st.InFlight, Sockets: st.Sockets, Pending: s.Gateway.PendingAt(i),
		Prefill: st.PrefillTokens, Requests: st.Requests, Kernel: showKernel(i), Signals: make(map[string]signal, len(st.Signals)), Changes: []change{},
	}
	if ms := math.Round(s.Gateway.Foresee(i)*1e4) / 10; ms > 0 {
		in.TTFT = &ms
	}
	for _, sig := range st.Signals {
		shown := signal{Alive: sig.Alive, Why: sig.Why, Source: sig.Source, Changed: sig.Changed}
		if sig.Age >= 0 {
			ms := sig.Age.Milliseconds()
			shown.AgeMS = &ms
		}
		in.Signals[sig.Name] = shown
	}
	for _, c := range st.Changes {
		in.Changes = append(in.Changes, change{c.Time, c.From.String(), c.To.String(), c.Reason})
	}
	return in
}

// known is v, or nil where the engine's word for it is missing or not believed.
func known[T any](st *scheduler.Status, needs engine.Signals, v T) *T {
	if !st.Known.Has(needs) {
		return nil
	}
	return &v
}

func (s *Server) instances(w http.ResponseWriter, _ *http.Request) {
	list := []instance{}
	for _, i := range s.Scheduler.Instances() {
		list = append(list, s.show(i))
	}
	drains := []drained{}
	for _, d := range s.Scheduler.Drains() {
		drains = append(drains, drained(d))
	}
	answer(w, http.StatusOK, map[string]any{"instances": list, "drains": drains})
}

func (s *Server) instance(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if i := s.Scheduler.Named(name); i != nil {
		answer(w, http.StatusOK, s.show(i))
		return
	}
	noInstance(w, name)
}

func accepts(r *http.Request, what string) bool {
	return strings.Contains(r.Header.Get("Accept"), what)
}
