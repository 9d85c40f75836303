package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// result is what one case said of one proxy in one round. What does not apply
// is zero.
type result struct {
	Case         string  `json:"case"`
	Proxy        string  `json:"proxy"`
	Round        int     `json:"round"`
	Count        int     `json:"count"`           // answers or events measured
	PerSecond    float64 `json:"per_second"`      // of them
	CPUMicros    float64 `json:"cpu_us"`          // CPU of the proxy for each
	Busy         float64 `json:"busy"`            // share of its core that the proxy used
	P50Micros    float64 `json:"p50_us"`          // latency: of an answer, of an event from engine to client
	P99Micros    float64 `json:"p99_us"`          //
	IdleMiB      float64 `json:"idle_mib"`        // resident with no request under way
	StreamKiB    float64 `json:"kib_per_stream"`  // resident for each open stream
	Failed       int     `json:"failed"`          // requests that ended in anything but their answer
	EventsMissed int64   `json:"events_missed"`   // sent by the engines and not seen by the clients
	Error        string  `json:"error,omitempty"` // why there is nothing of the above
}

// String is the line that shows while the run goes on.
func (r result) String() string {
	head := fmt.Sprintf("round %d %-9s %-9s", r.Round, r.Case, r.Proxy)
	switch {
	case r.Error != "":
		return head + " " + r.Error
	case r.StreamKiB > 0:
		return fmt.Sprintf("%s %8.1f KiB/stream, %.1f MiB idle", head, r.StreamKiB, r.IdleMiB)
	}
	return fmt.Sprintf("%s %8.1f µs CPU %8.0f/s %4.0f %% busy, p50 %6.0f p99 %6.0f µs",
		head, r.CPUMicros, r.PerSecond, 100*r.Busy, r.P50Micros, r.P99Micros)
}

// benchCase measures one thing of a proxy that has just been started.
type benchCase struct {
	name   string
	direct bool // worth measuring without a proxy
	run    func(b *bench, p *process) (result, error)
}

// promptSize is the body of workload W9.
const promptSize = 220_000

var cases = []benchCase{
	{"memory", false, func(b *bench, p *process) (result, error) { return b.memory(p, 2000) }},
	{"unloaded", true, func(b *bench, p *process) (result, error) { return b.closedLoop(p, smallRequest, 1) }},
	{"small", true, func(b *bench, p *process) (result, error) { return b.closedLoop(p, smallRequest, 32) }},
	{"rate", true, func(b *bench, p *process) (result, error) { return b.fixedRate(p, smallRequest, 64, 2000) }},
	{"large-20", true, func(b *bench, p *process) (result, error) { return b.closedLoop(p, largeRequest, 20) }},
	{"large-100", true, func(b *bench, p *process) (result, error) { return b.closedLoop(p, largeRequest, 100) }},
	{"streams", true, func(b *bench, p *process) (result, error) { return b.streams(p, 500, 50*time.Millisecond) }},
}

var (
	smallRequest  = post("/v1/chat/completions", `{"model":"llama2","max_tokens":6,"messages":[{"role":"system","content":"You are terse."},{"role":"user","content":"What does a penstock do?"}],"temperature":0.7}`)
	largeRequest  = post("/v1/chat/completions", `{"model":"llama2","max_tokens":1,"messages":[{"role":"user","content":"`+prompt(promptSize)+`"}],"temperature":0.7}`)
	streamRequest = post("/v1/completions", `{"model":"llama2","max_tokens":100000,"prompt":"What does a penstock do?","stream":true}`)
)

func post(path, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nhost: router.example:8080\r\naccept: application/json\r\n"+
		"user-agent: OpenAI/Python 3.57.0\r\ncontent-type: application/json\r\nauthorization: Bearer sk-0123456789abcdef\r\n"+
		"content-length: %d\r\n\r\n%s", path, len(body), body)
}

// prompt is English-like text in paragraphs, as JSON writes it.
func prompt(size int) string {
	const paragraph = `A penstock is the gate that meters water to the turbines: it is opened a little when they ask ` +
		`for little, and all the way when the valley below has switched its lights on. Nobody thanks the gate; ` +
		`everybody notices when it sticks. This one has been counting litres since before the dam had a name, and ` +
		`it will answer any question about them, \"slowly\" if need be.\n\n`
	return strings.Repeat(paragraph, size/len(paragraph))
}

// measure gives what a load counted and the proxy used within one window.
func (b *bench) measure(p *process, ld *load) (t tally, sent int64, cpu, took time.Duration, err error) {
	var begin, end int64
	var sentBefore int64
	before, err := p.cpu()
	if err != nil {
		return
	}
	b.loop.do(func() { ld.take(); begin, sentBefore = monotonic(), b.engines.sent })
	time.Sleep(b.window)
	after, err := p.cpu()
	if err != nil {
		return
	}
	b.loop.do(func() { t = ld.take(); end, sent = monotonic(), b.engines.sent-sentBefore })
	return t, sent, after - before, time.Duration(end - begin), nil
}

func (b *bench) open(to netip.AddrPort, request []byte, clients int, gap time.Duration) (ld *load) {
	b.loop.do(func() { ld = startLoad(b.loop, to, request, clients, gap) })
	return ld
}

// closedLoop: clients that send the next request when they have the answer.
func (b *bench) closedLoop(p *process, request []byte, clients int) (result, error) {
	ld := b.open(p.addr, request, clients, 0)
	defer b.loop.do(ld.close)
	time.Sleep(b.warm)
	t, _, cpu, took, err := b.measure(p, ld)
	return summary(t, t.answers, cpu, took), err
}

// fixedRate: requests at a mean rate over that many connections, come what may.
func (b *bench) fixedRate(p *process, request []byte, clients int, perSecond float64) (result, error) {
	ld := b.open(p.addr, request, clients, 0)
	b.loop.do(func() { ld.pace = newPace(perSecond, monotonic()) })
	defer b.loop.do(ld.close)
	time.Sleep(b.warm)
	t, _, cpu, took, err := b.measure(p, ld)
	return summary(t, t.answers, cpu, took), err
}

// streams: open streams whose events come at random times, period apart in each.
func (b *bench) streams(p *process, count int, period time.Duration) (result, error) {
	b.loop.do(func() { b.engines.period = int64(period) })
	const opening = time.Second
	ld := b.open(p.addr, streamRequest, count, opening/time.Duration(count))
	defer b.loop.do(ld.close)
	time.Sleep(opening + b.warm)
	t, sent, cpu, took, err := b.measure(p, ld)
	r := summary(t, t.events, cpu, took)
	r.EventsMissed = max(0, sent-int64(t.events))
	return r, err
}

// memory: what resident memory grows by when streams stand open. The proxy has
// answered requests before, so that what it needs once is not counted.
func (b *bench) memory(p *process, count int) (result, error) {
	warm := b.open(p.addr, smallRequest, 16, 0)
	time.Sleep(b.warm)
	b.loop.do(warm.close)
	time.Sleep(b.warm)
	idle, err := p.rss()
	if err != nil {
		return result{}, err
	}
	b.loop.do(func() { b.engines.period = int64(2 * time.Second) })
	const opening = time.Second
	ld := b.open(p.addr, streamRequest, count, opening/time.Duration(count))
	defer b.loop.do(ld.close)
	time.Sleep(opening + 3*time.Second) // every stream is open and has had an event after its first
	var t tally
	b.loop.do(func() { t = ld.take() })
	if t.failed > 0 || t.events < count {
		return result{}, fmt.Errorf("%d events on %d streams, %d failed", t.events, count, t.failed)
	}
	full, err := p.rss()
	return result{
		Count: count, IdleMiB: float64(idle) / (1 << 20), StreamKiB: float64(full-idle) / (1 << 10) / float64(count),
	}, err
}

func summary(t tally, count int, cpu, took time.Duration) result {
	slices.Sort(t.ns)
	r := result{Count: count, Failed: t.failed, Busy: float64(cpu) / float64(took), PerSecond: float64(count) / took.Seconds()}
	if count > 0 {
		r.CPUMicros = float64(cpu.Nanoseconds()) / 1e3 / float64(count)
	}
	if n := len(t.ns); n > 0 {
		r.P50Micros, r.P99Micros = float64(t.ns[n/2])/1e3, float64(t.ns[n*99/100])/1e3
	}
	return r
}
