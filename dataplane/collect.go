package dataplane

import (
	"strconv"

	"penstock/scheduler/telemetry"
)

// Collect writes the gateway's metrics.
func (g *Gateway) Collect(w *telemetry.Writer) {
	a := &g.account
	w.Family("penstock_requests_total", "counter", "Requests answered, by route, status code (499: the client left) and key.")
	for r, route := range a.routes {
		for k, key := range a.keys {
			for i, code := range codes {
				n := a.served[(r*len(a.keys)+k)*len(codes)+i].Load()
				if n == 0 {
					continue
				}
				label := "other"
				if code > 0 {
					label = strconv.Itoa(code)
				}
				w.Int("penstock_requests_total", int64(n), "route", route.label, "code", label, "key", key)
			}
		}
	}
	w.Family("penstock_request_errors_total", "counter", "Requests that the router itself had to fail, by reason.")
	for i, name := range reasonNames {
		w.Int("penstock_request_errors_total", int64(a.errors[i].Load()), "reason", name)
	}
	gauge := func(name, help string, v int64) {
		w.Family(name, "gauge", help)
		w.Int(name, v)
	}
	counter := func(name, help string, v uint64) {
		w.Family(name, "counter", help)
		w.Int(name, int64(v))
	}
	gauge("penstock_gateway_requests", "Requests inside the gateway now, held ones included.", a.inside())
	gauge("penstock_gateway_pending", "Requests held now because every instance is full.", g.holder.held.Load())
	gauge("penstock_gateway_connections", "Client connections open now.", g.connected.Load())
	counter("penstock_gateway_connections_rejected_total", "Client connections closed at once because as many as may be were open.", a.turnedAway.Load())
	g.collectSockets(w)
	gauge("penstock_gateway_held_bytes", "Bytes of request bodies held now.", g.held.used.Load())
	counter("penstock_prompt_tokens_total", "Prompt tokens of answered requests: as the engines counted, else estimated.", a.tokensIn.Load())
	counter("penstock_generation_tokens_total", "Output tokens delivered: as the engines counted, else one for each event.", a.tokensOut.Load())
	counter("penstock_tokens_saved_total", "Output tokens that engines did not have to make because the client's leaving was passed on.", a.saved.Load())
	g.collectTimes(w)
	w.Family("penstock_retries_total", "counter", "Further tries that ended well (ok) or not (failed), and requests without a try left (exhausted).")
	w.Int("penstock_retries_total", int64(a.retryOK.Load()), "outcome", "ok")
	w.Int("penstock_retries_total", int64(a.retryBad.Load()), "outcome", "failed")
	w.Int("penstock_retries_total", int64(a.noTryLeft.Load()), "outcome", "exhausted")
	w.Family("penstock_aborts_total", "counter", "Requests whose client left, by what they were doing.")
	for i, name := range abortNames {
		w.Int("penstock_aborts_total", int64(a.aborts[i].Load()), "when", name)
	}
	g.collectKeys(w)
	g.collectStations(w)
}

// collectSockets says what WebSockets do, by kind: bridge, whose messages are
// requests, and tunnel, which passes through.
func (g *Gateway) collectSockets(w *telemetry.Writer) {
	w.Family("penstock_websocket_connections", "gauge", "WebSockets open now, by kind: bridge (messages are requests), tunnel (passes through).")
	for kind, t := range g.sockets.kinds() {
		w.Int("penstock_websocket_connections", t.open.Load(), "kind", kind)
	}
	w.Family("penstock_websocket_messages_total", "counter", "Messages of WebSockets, from clients (in) and to them (out).")
	for kind, t := range g.sockets.kinds() {
		w.Int("penstock_websocket_messages_total", int64(t.in.Load()), "kind", kind, "direction", "in")
		w.Int("penstock_websocket_messages_total", int64(t.out.Load()), "kind", kind, "direction", "out")
	}
	w.Family("penstock_websocket_closes_total", "counter", "WebSockets that ended, by close code; 1006: without one.")
	for kind, t := range g.sockets.kinds() {
		for n, code := range closeCodes {
			label := "other"
			if code > 0 {
				label = strconv.Itoa(code)
			}
			w.Int("penstock_websocket_closes_total", int64(t.closes[n].Load()), "kind", kind, "code", label)
		}
	}
}

// collectKeys says what each key uses.
func (g *Gateway) collectKeys(w *telemetry.Writer) {
	if len(g.limiters) == 0 {
		return
	}
	w.Family("penstock_key_requests_in_flight", "gauge", "Requests of the key inside the gateway now, held ones included.")
	for i := range g.limiters {
		l := &g.limiters[i]
		w.Int("penstock_key_requests_in_flight", l.inFlight.Load(), "key", l.key.Name)
	}
	w.Family("penstock_key_limited_total", "counter", "Requests refused because the key was at one of its limits.")
	for i := range g.limiters {
		l := &g.limiters[i]
		for limit, name := range limitNames {
			w.Int("penstock_key_limited_total", int64(l.refused[limit].Load()), "key", l.key.Name, "limit", name)
		}
	}
	w.Family("penstock_key_tokens_total", "counter", "Tokens that the key has used, as they count for its limit: as the engines counted, else estimated; those of clients that left too.")
	for i := range g.limiters {
		l := &g.limiters[i]
		w.Int("penstock_key_tokens_total", int64(l.prompt.Load()), "key", l.key.Name, "kind", "prompt")
		w.Int("penstock_key_tokens_total", int64(l.generation.Load()), "key", l.key.Name, "kind", "generation")
	}
}

func (g *Gateway) collectTimes(w *telemetry.Writer) {
	a := &g.account
	for _, h := range []struct {
		name, help string
		h          *telemetry.Histogram
	}{
		{"penstock_ttft_seconds", "Time from a request's arrival to the first byte of its answer's body, time held included.", a.ttft},
		{"penstock_tpot_seconds", "Time per output token after the first, mean of each request.", a.tpot},
		{"penstock_itl_seconds", "Time between two arrivals of tokens in a stream.", a.itl},
		{"penstock_request_seconds", "Time from a request's arrival to the last byte of its answer.", a.whole},
		{"penstock_pending_seconds", "Time that a request was held because every instance was full.", a.pending},
		{"penstock_overhead_seconds", "Time from a request's last byte to its first byte towards the engine, time held excluded.", a.overhead},
	} {
		w.Family(h.name, "histogram", h.help)
		w.Histogram(h.name, h.h)
	}
	for _, v := range []struct {
		name, help string
		w          *telemetry.Window
	}{
		{"penstock_ttft_window_seconds", "Time to first token over the last minute.", a.ttftWindow},
		{"penstock_tpot_window_seconds", "Time per output token over the last minute.", a.tpotWindow},
	} {
		s := v.w.Stats()
		w.Family(v.name, "gauge", v.help)
		for _, x := range []struct {
			stat string
			v    float64
		}{{"max", s.Max}, {"avg", s.Avg}, {"min", s.Min}, {"p50", s.P50}, {"p90", s.P90}, {"p95", s.P95}, {"p99", s.P99}} {
			w.Sample(v.name, x.v, "stat", x.stat)
		}
	}
}

func (g *Gateway) collectStations(w *telemetry.Writer) {
	var all []*station
	for _, i := range g.sched.Instances() {
		all = append(all, g.stations.look(i))
	}
	w.Family("penstock_instance_pending", "gauge", "Held requests whose first choice was this instance.")
	for _, st := range all {
		w.Int("penstock_instance_pending", st.pending.Load(), "instance", st.inst.Name)
	}
	w.Family("penstock_instance_dials_total", "counter", "Connections opened to the instance for requests.")
	for _, st := range all {
		w.Int("penstock_instance_dials_total", int64(st.warm.dials.Load()), "instance", st.inst.Name)
	}
	w.Family("penstock_instance_stale_connections_total", "counter", "Connections that the instance closed while they were idle, by who found out: events of the kernel, the watcher of sockets, a look before use, a request that was given to one and then to a fresh one.")
	for _, st := range all {
		for by, name := range witnessNames {
			w.Int("penstock_instance_stale_connections_total", int64(st.warm.stale[by].Load()), "instance", st.inst.Name, "caught", name)
		}
	}
}

// Stats is a short account for people, see penstock demo.
type Stats struct {
	Requests, Errors, Retries, Aborts uint64
	Current, Pending                  int64
	PromptTokens, OutputTokens        uint64
	TTFT, TPOT                        telemetry.WindowStats
}

// Stats reads the account.
func (g *Gateway) Stats() Stats {
	a := &g.account
	s := Stats{
		Retries: a.retryOK.Load() + a.retryBad.Load(), Current: a.current.Load(), Pending: g.holder.held.Load(),
		PromptTokens: a.tokensIn.Load(), OutputTokens: a.tokensOut.Load(), TTFT: a.ttftWindow.Stats(), TPOT: a.tpotWindow.Stats(),
	}
	for i := range a.served {
		s.Requests += a.served[i].Load()
	}
	for i := range a.errors {
		if reason(i) != reasonClientGone {
			s.Errors += a.errors[i].Load()
		}
	}
	for i := range a.aborts {
		s.Aborts += a.aborts[i].Load()
	}
	return s
}
