package scheduler

import (
	"slices"
	"sync/atomic"

	"penstock/bpf"
	"penstock/scheduler/engine"
	"penstock/scheduler/telemetry"
)

// Collect writes the scheduler's metrics, family by family.
func (s *Scheduler) Collect(w *telemetry.Writer) {
	w.Family("penstock_decision_seconds", "histogram", "Time to decide which instance gets a request.")
	w.Histogram("penstock_decision_seconds", s.decisions)
	w.Family("penstock_policy_degraded_total", "counter", "Decisions that the policy took without a signal that it wants.")
	for _, n := range s.policy.signals {
		w.Int("penstock_policy_degraded_total", int64(s.degraded[n].Load()), "policy", s.policy.name, "signal", signalSources[n].name)
	}
	if s.policy.outlook {
		w.Int("penstock_policy_degraded_total", int64(s.misled.Load()), "policy", s.policy.name, "signal", "prediction")
	}
	if ratio := s.ttftErrors.Ratio(); ratio > 0 {
		w.Family("penstock_prediction_error_ratio", "gauge", "The factor by which predictions are off, usually: 1 is right. Absent until there were any.")
		w.Sample("penstock_prediction_error_ratio", ratio, "kind", "ttft")
	}
	w.Family("penstock_panic", "gauge", "1 while more than half of the instances are out, so that it takes more to be taken out.")
	w.Int("penstock_panic", one(s.fleet.panicking()))
	all := make([]seen, 0, len(s.Instances()))
	for _, i := range s.Instances() {
		all = append(all, seen{i, i.Status()})
	}
	collectLoad(w, all)
	collectHealth(w, all)
	collectScrapes(w, all)
	collectKernel(w, all)
	if s.wire.source != nil {
		w.Family("penstock_kernel_events_lost_total", "counter", "Events of the kernel that found the ring full.")
		w.Int("penstock_kernel_events_lost_total", int64(s.wire.source.Lost()))
	}
}

// seen is an instance and its status of one moment.
type seen struct {
	*Instance
	Status
}

// model is the label where an instance serves one.
func (i seen) model() string {
	if len(i.Models) == 1 {
		return i.Models[0]
	}
	return ""
}

func collectLoad(w *telemetry.Writer, all []seen) {
	gauge := func(name string, needs engine.Signals, help string, value func(i seen) float64) {
		w.Family(name, "gauge", help)
		for _, i := range all {
			if i.Known.Has(needs) { // what is not known is no zero
				w.Sample(name, value(i), "instance", i.Name, "model", i.model())
			}
		}
	}
	gauge("penstock_instance_running", engine.HasRunning, "Requests that the engine runs, as it last said; absent while that is not believed.", func(i seen) float64 { return float64(i.Running) })
	gauge("penstock_instance_waiting", engine.HasWaiting, "Requests in the engine's own queue, as it last said; absent while that is not believed.", func(i seen) float64 { return float64(i.Waiting) })
	gauge("penstock_instance_kv_usage_ratio", engine.HasKVUsage, "Part of the engine's KV cache in use, as it last said; absent while that is not believed.", func(i seen) float64 { return i.KVUsage })
	gauge("penstock_instance_in_flight", 0, "Requests of this gateway at the instance now.", func(i seen) float64 { return float64(i.InFlight) })
	w.Family("penstock_instance_requests_total", "counter", "Requests given to the instance, retries included.")
	for _, i := range all {
		w.Int("penstock_instance_requests_total", int64(i.Requests), "instance", i.Name)
	}
}

func collectHealth(w *telemetry.Writer, all []seen) {
	w.Family("penstock_instance_up", "gauge", "1 while the instance can be given requests.")
	for _, i := range all {
		w.Int("penstock_instance_up", one(i.routable()), "instance", i.Name, "model", i.model())
	}
	w.Family("penstock_instance_state", "gauge", "1 at the state that the instance is in.")
	for _, i := range all {
		for s, name := range stateNames {
			w.Int("penstock_instance_state", one(i.Status.State == State(s)), "instance", i.Name, "state", name)
		}
	}
	w.Family("penstock_instance_transitions_total", "counter", "Changes of the instance's state, by what it became.")
	for _, i := range all {
		for s, n := range i.transitions() {
			w.Int("penstock_instance_transitions_total", int64(n), "instance", i.Name, "to", stateNames[s])
		}
	}
	byReason := func(name, help string, counts func(i *Instance) *[failures]atomic.Uint64) {
		w.Family(name, "counter", help)
		for _, i := range all {
			var sums [failures]uint64 // by the first failure of each name
			for f := range sums {
				sums[slices.Index(failureNames[:], failureNames[f])] += counts(i.Instance)[f].Load()
			}
			for f, n := range sums {
				if slices.Index(failureNames[:], failureNames[f]) == f {
					w.Int(name, int64(n), "instance", i.Name, "reason", failureNames[f])
				}
			}
		}
	}
	byReason("penstock_instance_failures_total", "Failures of the instance, by what it did.", func(i *Instance) *[failures]atomic.Uint64 { return &i.failed })
	byReason("penstock_instance_ejections_total", "Times that the instance was taken out, by the failure that did it.", func(i *Instance) *[failures]atomic.Uint64 { return &i.ejected })
}

func collectScrapes(w *telemetry.Writer, all []seen) {
	w.Family("penstock_scrape_seconds", "histogram", "Time that reading the instance's metrics took.")
	for _, i := range all {
		w.Histogram("penstock_scrape_seconds", i.scrapes, "instance", i.Name)
	}
	w.Family("penstock_scrape_errors_total", "counter", "Readings of the instance's metrics that failed.")
	for _, i := range all {
		w.Int("penstock_scrape_errors_total", int64(i.scrapeErrors.Load()), "instance", i.Name)
	}
	w.Family("penstock_signal_age_seconds", "gauge", "Age of what was last heard of the signal; absent until it was.")
	for _, i := range all {
		for _, s := range i.Signals {
			if s.Age >= 0 {
				w.Sample("penstock_signal_age_seconds", s.Age.Seconds(), "instance", i.Name, "signal", s.Name)
			}
		}
	}
	w.Family("penstock_signal_alive", "gauge", "1 while decisions believe the signal.")
	for _, i := range all {
		for _, s := range i.Signals {
			w.Int("penstock_signal_alive", one(s.Alive), "instance", i.Name, "signal", s.Name)
		}
	}
	w.Family("penstock_signal_dead", "gauge", "1 at each signal that decisions do not believe, by what speaks against it.")
	for _, i := range all {
		for _, s := range i.Signals {
			if !s.Alive {
				w.Int("penstock_signal_dead", 1, "instance", i.Name, "signal", s.Name, "why", s.Why)
			}
		}
	}
}

// collectKernel writes what the kernel counts, for instances that it does.
func collectKernel(w *telemetry.Writer, all []seen) {
	type counted struct {
		name string
		bpf.Counters
	}
	var rows []counted
	for _, i := range all {
		if c, ok := i.Wire(); ok {
			rows = append(rows, counted{i.Name, c})
		}
	}
	family := func(name, kind, help string, value func(c counted) float64) {
		w.Family(name, kind, help)
		for _, c := range rows {
			w.Sample(name, value(c), "instance", c.name)
		}
	}
	family("penstock_kernel_connections", "gauge", "Connections established to the instance.", func(c counted) float64 { return float64(c.Active) })
	family("penstock_kernel_connections_total", "counter", "Connections established so far.", func(c counted) float64 { return float64(c.Total) })
	family("penstock_kernel_bytes_in_total", "counter", "Bytes that came from the instance.", func(c counted) float64 { return float64(c.BytesIn) })
	family("penstock_kernel_bytes_out_total", "counter", "Bytes that the instance acknowledged.", func(c counted) float64 { return float64(c.BytesOut) })
	family("penstock_kernel_srtt_seconds", "gauge", "Smoothed round-trip time, of the connection heard last.", func(c counted) float64 { return float64(c.SRTTMicros) / 1e6 })
	family("penstock_kernel_retransmits_total", "counter", "Segments sent again.", func(c counted) float64 { return float64(c.Retransmits) })
	family("penstock_kernel_timeouts_total", "counter", "Retransmission time-outs of established connections.", func(c counted) float64 { return float64(c.Timeouts) })
	family("penstock_kernel_unanswered_total", "counter", "SYNs that nobody answered in time.", func(c counted) float64 { return float64(c.Unanswered) })
	family("penstock_kernel_resets_total", "counter", "Connections that the instance reset.", func(c counted) float64 { return float64(c.Resets) })
	family("penstock_kernel_refused_total", "counter", "Connections that were refused.", func(c counted) float64 { return float64(c.Refused) })
	family("penstock_kernel_closed_total", "counter", "Connections that the instance closed first.", func(c counted) float64 { return float64(c.PeerClosed) })
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
