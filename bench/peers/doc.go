// Command peers measures, in one run, what a proxied request and a streamed
// event cost Penstock, HAProxy, nginx and a fasthttp proxy that knows nothing
// (the floor).
//
// It is both ends itself: instant engines and clients are raw non-blocking
// sockets in one epoll loop on one locked thread, so that the load is cheaper
// than what it measures. The proxy runs alone on one core, the loop on the
// others. CPU is the proxy's user and system time from /proc, latency is taken
// with one clock, and what is reported is the median over interleaved rounds,
// as a ratio to HAProxy and to the floor: the absolute figures are the
// machine's.
//
// The loop's goroutine owns every socket and every counter of the load; other
// goroutines reach them by loop.do only. It is no general load generator
// (bench/load is) and checks no more of an answer than it must to count it.
package main
