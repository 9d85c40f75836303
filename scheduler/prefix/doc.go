// Package prefix is a shadow of every instance's KV cache: which blocks of
// prompt text each has seen lately enough to have them still.
//
//	chain.go   text to hashes, each over a block and all before it
//	index.go   the instances' places, and how the memory is shared among them
//	cache.go   one instance's blocks, in the order in which its engine evicts
//	table.go   the set of them that readers see
//	match.go   how much of a prompt each of many instances has
//	undo.go    what was inserted and did not come to pass
//
// Chain, Match and Len may be called from any goroutine: they take no lock and
// allocate nothing. So may the rest, which lock the one instance they change;
// only opening, closing and resizing may have to visit all. The same calls in
// the same order leave the same blocks: no clock, no randomness, no goroutine.
//
// A block costs 40 bytes, and up to twice that while a cache grows or after the
// bound over all was divided anew.
//
// The package guesses: it does not know how an engine counts its blocks, when
// a request failed or that an engine was restarted, nor what a block hash means
// to an engine. Callers say so, in blocks of text.
package prefix
