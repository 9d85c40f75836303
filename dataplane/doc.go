// Package dataplane moves requests: it accepts them, lets them in, reads each
// one once, asks the scheduler for an instance, holds what no instance can
// take, forwards, streams the answer back, and accounts for it.
//
// A request is followed from top to bottom through these files:
//
//	accept   gateway.go   listeners, one goroutine per client connection
//	admit    admit.go     key, route; limit.go keeps a key within its limits
//	read     intake.go    head and body, once, into pooled memory
//	decide   place.go     scheduler.Pick, or hold
//	wait     hold.go      the pending requests, in the scheduler's order
//	retry    retry.go     which failure goes to another instance, which does not
//	forward  warm.go      warm connections to the engines
//	stream   mover.go     one try: request out, answer back (flow.go moves it)
//	account  account.go   what happened, for /metrics and for the scheduler
//
// A request belongs to the goroutine of its client's connection from the first
// byte to the last. Others may only tell that goroutine to stop: the watcher
// (watch.go) when a peer leaves, the sweeper (sweep.go) when a time is over,
// the holder (hold.go) when an instance is free. CONCURRENCY.md says who owns
// what.
package dataplane
