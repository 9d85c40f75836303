package scheduler

import "sync/atomic"

// lineSize keeps what different goroutines write on different cache lines: two
// lines of 64 bytes, as CPUs prefetch them in pairs.
const lineSize = 128

// row is our own account of an instance: what every request writes, on cache
// lines of its own. What decisions read comes first: of a thousand instances no
// more lines are fetched than need be.
type row struct {
	inFlight atomic.Int64  // requests given to it that have not ended
	prefill  atomic.Int64  // prompt tokens of those without a first byte
	decode   atomic.Int64  // output tokens still expected of the others
	streams  atomic.Int64  // requests past their first byte
	ended    atomic.Uint64 // requests ever ended
	given    atomic.Int64  // when it was last given one, on the clock of Query.Now
	work     work
	prompts  prompts

	sent    atomic.Uint64 // requests ever given to it
	moved   atomic.Uint64 // times that an answer went on
	movedAt atomic.Int64  // when an answer last went on, on the clock of Query.Now
	bytesIn atomic.Uint64 // of answers
	conns   atomic.Int64  // connections of the gateway's to it
	sockets atomic.Int64  // of inFlight, WebSockets that pass through
}

// work is what our requests give the instance to compute and to keep.
type work struct {
	fresh    atomic.Int64 // prompt tokens to compute, of requests without a first byte
	prompts  atomic.Int64 // those requests, in 1/1024
	answers  atomic.Int64 // requests whose answer is being made: streams past their first byte, and others
	context  atomic.Int64 // tokens that all of ours look back on
	kept     atomic.Int64 // tokens in the KV cache for ours alone: computed or generated
	held     atomic.Int64 // prompt tokens of held requests that wait for this instance
	wanted   atomic.Int64 // tokens that they will keep
	arrivals rate         // requests, and their prompts, in microseconds of computing

	computed atomic.Int64  // prompt tokens ever computed
	found    atomic.Int64  // prompt tokens ever found in the cache, as we believe
	again    atomic.Uint64 // the share of these, a float64
}

// said is what the instance itself reported last. Its keeper writes it, each
// word for itself: a decision may see half of two reports, which are as good as
// either.
type said struct {
	live    atomic.Uint32 // signals believed now, engine.Signals
	waiting atomic.Int64
	kvUsage atomic.Int64  // millionths
	kvSize  atomic.Int64  // tokens
	kvRest  atomic.Int64  // of them, in use by others than row.work.kept
	foreign atomic.Int64  // requests in it that are not ours
	ended   atomic.Uint64 // row.ended when the report was asked for
	known   atomic.Int64  // requests that it is known to run at once
	limit   atomic.Int64  // requests that it says it runs at once, at most; 0: not said
	given   atomic.Uint64 // Scheduler.given then

	running atomic.Int64
	tokens  atomic.Uint64 // prompt and output tokens that it has counted
}
