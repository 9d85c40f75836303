// Package model is an inference engine without its GPU: what vLLM's scheduler
// does with requests, and how long each step takes. Continuous batching with
// chunked prefill, KV blocks with a prefix cache, preemption, a waiting queue.
//
// It owns the engine's queue, its batch and its blocks, and the profiles of
// known models on known GPUs. Time is passed in, as the duration since any
// fixed moment: the same code runs in real time (bench/sim) and in virtual time
// for millions of requests. Same calls, same results.
//
// A step is two calls: Begin chooses what it computes and says how long that
// takes, End gives its tokens. Between them Submit, Abort and Stats may be
// called. An Engine belongs to one goroutine, or to whoever holds its owner's
// lock. It has no clock, no goroutine, no I/O and no randomness, it knows
// tokens by their count and prompts by the hashes of their blocks, and nothing
// is allocated for a token.
package model
