package fleet

import (
	"math"
	"slices"
	"time"

	"penstock/bench/load"
)

// Row is what one run measured: one policy at one rate. Requests = Completed +
// Rejected + Failed; warm-up requests are in none of them, nor in anything else
// but the imbalance.
type Row struct {
	Policy    string  `json:"policy"`
	Rate      float64 `json:"rate"`
	Requests  int     `json:"requests"`
	Completed int     `json:"completed"`
	Rejected  int     `json:"rejected"`
	Failed    int     `json:"failed"` // no engine took them, or one died over them

	// Per second in which requests came; of a closed loop, per second to the end.
	GoodputRPS        float64 `json:"goodput_rps"`
	PatientGoodputRPS float64 `json:"goodput_5s_rps"` // with 5 s to the first token
	RequestRate       float64 `json:"request_rate"`
	OutputTokensPerS  float64 `json:"output_tokens_per_s"` // to the last token

	TTFT load.Latency `json:"ttft_ms"`
	TPOT load.Latency `json:"tpot_ms"` // each request's mean gap
	E2E  load.Latency `json:"e2e_ms"`

	PrefixHitRate float64 `json:"prefix_hit_rate"`    // tokens
	BelievedRate  float64 `json:"predicted_hit_rate"` // as the gateways thought
	Imbalance     float64 `json:"imbalance"`          // the busiest instance's time in steps over the mean; 1: even
	Utilization   float64 `json:"utilization"`        // mean share of the time that instances compute
	Starved       float64 `json:"idle_while_held"`    // mean share of the time that instances compute nothing though requests are held

	ArrivalsS float64   `json:"arrivals_s"` // virtual, from the first request's arrival to the last one's
	DurationS float64   `json:"duration_s"` // virtual, to the last request's end
	Unserved  float64   `json:"service_difference,omitempty"`
	Service   []Service `json:"service,omitempty"`
}

// GoodShare is the part of requests that met the objective.
func (r *Row) GoodShare() float64 {
	if r.RequestRate == 0 {
		return 0
	}
	return r.GoodputRPS / r.RequestRate
}

// Row sums a result up.
func (res *Result) Row(cfg *Config) Row {
	row := Row{
		Policy: cfg.Policy, Rate: cfg.Params.Rate, DurationS: round(res.End.Seconds(), 1),
		Unserved: res.Unserved, Service: res.Service,
	}
	var t tally
	for i := range res.Samples {
		if s := &res.Samples[i]; !s.Warm {
			t.add(s)
		}
	}
	row.Requests, row.Completed = t.requests, len(t.ttft)
	row.Rejected, row.Failed = t.outcomes[Rejected], t.outcomes[Failed]
	came := t.last - t.began
	row.ArrivalsS = round(came.Seconds(), 1)
	if cfg.Workload.Closed || came <= 0 {
		came = res.End - t.began
	}
	if s := came.Seconds(); s > 0 {
		row.GoodputRPS, row.PatientGoodputRPS = round(float64(t.good)/s, 3), round(float64(t.patient)/s, 3)
		row.RequestRate = round(float64(t.requests)/s, 3)
	}
	if s := (res.End - t.began).Seconds(); s > 0 {
		row.OutputTokensPerS = round(float64(t.output)/s, 1)
	}
	row.TTFT, row.TPOT, row.E2E = latency(t.ttft), latency(t.tpot), latency(t.e2e)
	if t.prompt > 0 {
		row.PrefixHitRate = round(float64(t.cached)/float64(t.prompt), 4)
		row.BelievedRate = round(float64(t.believed)/float64(t.prompt), 4)
	}
	row.Imbalance, row.Utilization = res.imbalance()
	if all := float64(len(res.Busy)) * float64(res.End); all > 0 {
		row.Starved = round(float64(res.Starved)/all, 4)
	}
	return row
}

// imbalance is the busiest instance's time over the mean, and the mean's share
// of all time.
func (res *Result) imbalance() (over, share float64) {
	var sum time.Duration
	for _, b := range res.Busy {
		sum += b
	}
	if sum == 0 || res.End == 0 {
		return 1, 0
	}
	mean := float64(sum) / float64(len(res.Busy))
	return round(float64(slices.Max(res.Busy))/mean, 3), round(mean/float64(res.End), 3)
}

// tally adds samples up.
type tally struct {
	requests, good, patient int
	outcomes                [Failed + 1]int
	began, last             time.Duration
	prompt, cached, output  int64
	believed                int64
	ttft, tpot, e2e         []time.Duration
}

func (t *tally) add(s *Sample) {
	if t.requests++; t.requests == 1 || s.Arrived < t.began {
		t.began = s.Arrived
	}
	t.last = max(t.last, s.Arrived)
	t.outcomes[s.Outcome]++
	if s.Outcome != Completed {
		return
	}
	if s.meets(Objective) {
		t.good++
	}
	if s.meets(Patient) {
		t.patient++
	}
	t.prompt, t.cached, t.output = t.prompt+int64(s.Prompt), t.cached+int64(s.Cached), t.output+int64(s.Output)
	t.believed += int64(s.Believed)
	t.ttft, t.e2e = append(t.ttft, s.TTFT), append(t.e2e, s.E2E)
	if s.Output > 1 {
		t.tpot = append(t.tpot, s.TPOT)
	}
}

// latency is the exact distribution of a list, which it sorts.
func latency(list []time.Duration) load.Latency {
	if len(list) == 0 {
		return load.Latency{}
	}
	slices.Sort(list)
	var sum float64
	for _, d := range list {
		sum += float64(d)
	}
	ms := func(ns float64) float64 { return round(ns/1e6, 3) }
	at := func(q float64) float64 { return ms(float64(quantile(list, q))) }
	return load.Latency{
		Mean: ms(sum / float64(len(list))), Min: at(0), Max: at(1), P50: at(.5), P90: at(.9), P95: at(.95), P99: at(.99),
	}
}

// quantile of a sorted list, 0..1: the smallest value that so many are not above.
func quantile(sorted []time.Duration, q float64) time.Duration {
	n := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(n-1, 0), len(sorted)-1)]
}

func round(v float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(v*scale) / scale
}
