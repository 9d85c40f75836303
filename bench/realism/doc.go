// Command realism compares bench/model to a real vLLM on the CPU. The model's
// constants are fitted to one load; then other loads go to the engine over HTTP
// and, with the same arrivals, through the model in virtual time, and one table
// says how far what was foretold is off. After that the router stands before two
// real engines, and what it takes for cached is held against what they found.
//
//	engine.go   vLLM: its process, its sizes, its tokens
//	load.go     what is asked, and when
//	client.go   asks it, and measures; machine.go: who else used the CPU
//	replay.go   the same asks through the model
//	fit.go      the constants with which the model comes closest
//	chats.go    conversations, and router.go the router that they pass through
//	index.go    the router's word on what is cached
//	table.go    what comes of it
package main
