package scheduler

import "sync/atomic"

// lineSize keeps what different goroutines write on different cache lines: two
// lines of 64 bytes, as CPUs prefetch them in pairs.
const lineSize = 128

// row is our own account of an instance: what every request writes, on cache
// lines of its own.
type row struct {
	inFlight atomic.Int64  // requests given to it that have not ended
	prefill  atomic.Int64  // prompt tokens of those without a first byte
	decode   atomic.Int64  // output tokens still expected of the others
	streams  atomic.Int64  // requests past their first byte
	sent     atomic.Uint64 // requests ever given to it
	ended    atomic.Uint64 // requests ever ended
	moved    atomic.Uint64 // times that an answer went on
	bytesIn  atomic.Uint64 // of answers
	conns    atomic.Int64  // connections of the gateway's to it
	movedAt  atomic.Int64  // when an answer last went on, on the clock of Query.Now
	_        [lineSize - 10*8]byte

	prompts prompts
	_       [2*lineSize - 2*24*4 - 7*8]byte

	work work
	_    [lineSize - 15*8]byte
}

// work is what our requests give the instance to compute and to keep.
type work struct {
	fresh    atomic.Int64 // prompt tokens to compute, of requests without a first byte
	prompts  atomic.Int64 // those requests, in 1/1024
	answers  atomic.Int64 // requests whose answer is being made: streams past their first byte, and others
	context  atomic.Int64 // tokens that all of ours look back on
	kept     atomic.Int64 // tokens in the KV cache for ours alone: computed or generated
	computed atomic.Int64 // prompt tokens ever computed
	found    atomic.Int64 // prompt tokens ever found in the cache, as we believe
	held     atomic.Int64 // prompt tokens of held requests that wait for this instance
	wanted   atomic.Int64 // tokens that they will keep
	arrivals rate         // requests
	load     rate         // their prompts, in microseconds of computing
}

// said is what the instance itself reported last. Its keeper writes it, each
// word for itself: a decision may see half of two reports, which are as good as
// either.
type said struct {
	live    atomic.Uint32 // signals believed now, engine.Signals
	running atomic.Int64
	waiting atomic.Int64
	kvUsage atomic.Int64  // millionths
	kvSize  atomic.Int64  // tokens
	foreign atomic.Int64  // requests in it that are not ours
	ended   atomic.Uint64 // row.ended when the report was asked for
	known   atomic.Int64  // requests that it is known to run at once
	limit   atomic.Int64  // requests that it says it runs at once, at most; 0: not said
	tokens  atomic.Uint64 // prompt and output tokens that it has counted
	kept    atomic.Int64  // work.kept when the report was asked for
	_       [lineSize - 11*8]byte
}
