// Package bench holds what loads, imitates and compares, in packages of its own:
//
//	load   the load generator for any OpenAI-compatible endpoint
//	model  an engine without its GPU: its queue, its batch, its cache, its time
//	sim    that model in real time behind vLLM's HTTP
//	workload  requests as published loads and traces have them
//	fleet  whole fleets of that model before the scheduler's own code, in virtual time
//	chart  the curves and the style of the reports' pages
//	demo   engines, a load and a live table in one process, with a story in it
//	peers  a command that measures the router beside other proxies
//	realism  a command that compares model, and the router's index, to a real vLLM
//	loopback  free ports for what these start
//	policies  a command that compares policies over HTTP to what fleet foretells
//
// Nothing here is on the way of a request. Imports go down, to scheduler at
// most: bench knows of the data plane only what its sockets say, so that what is
// measured is what a client gets.
package bench
