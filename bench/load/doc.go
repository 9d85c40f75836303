// Package load puts load on any OpenAI-compatible endpoint and measures what
// its clients see: TTFT, TPOT, ITL, the whole request, and goodput.
//
// The way of a request: arrival.go says when, prompt.go and template.go what is
// sent, client.go sends it, sse.go takes the answer's events apart, answer.go
// reads them, sample.go is what was measured, record.go sums samples up,
// report.go tells. run.go drives it, in an open loop (arrivals at random times,
// however long answers take) or a closed one (so many requests in flight,
// always); script.go does for a workload's requests, the same that bench/fleet
// runs in virtual time.
//
// All times but the waits of clock.go are the engines': where these run so many
// times as fast, so do arrivals, and what is measured is as much longer.
//
// In an open loop a latency counts from when the request was meant to go out:
// a late client is part of the wait, not a pause in the measurement. Nothing is
// retried, and every request that ended is counted once, as completed, rejected
// (429) or an error of its class.
//
// Each request in flight has one goroutine, a worker, which owns its buffers and
// its sample; the record has a mutex, taken once a request and once for 64 gaps
// between tokens. There is no goroutine and no timer for a token.
//
// The HTTP client is fasthttp's: half the CPU of net/http's for a request, 15 µs
// against 29 µs (BenchmarkClient measures both), and the generator shares its
// cores with what it measures. An event costs 10 µs with either, most of it the
// kernel's. The package prints nothing and reads no file; cmd/penstock does.
package load
