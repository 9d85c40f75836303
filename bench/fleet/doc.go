// Package fleet runs a load against a whole fleet in virtual time: gateways,
// each with a scheduler of its own and its own stale view, and simulated engines.
// The deciding code is the very one that runs behind real traffic.
//
// Run is one run: one workload at one rate under one policy. A Sweep is many,
// all policies with the same arrivals, and makes a Report of them: a table,
// JSON, HTML with curves.
//
// A run belongs to one goroutine, and uses no clock, no I/O and no randomness
// but its seed's: same configuration, same results. Clients, connections and the
// gateways' own work cost no time here; bench/peers measures those.
package fleet
