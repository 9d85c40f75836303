// Package workload makes the requests of the loads that routers are compared
// with: published set-ups, recorded traces, and loads made to find a policy's
// weak side.
//
// A Workload describes one; Open gives its requests, one after the other, the
// same for the same seed. Time is virtual, texts are numbers: a prompt is a list
// of spans, and two prompts share what their first spans share. A closed loop's
// next request comes from Request.Then, when the one before has ended.
//
// Nothing here knows of engines or of routing. A stream belongs to one
// goroutine; Workloads may be shared.
package workload
