// Package admin serves the admin port: metrics, the API about instances, the
// effective configuration, health of the process, and profiles.
//
// It owns the names and shapes of INTERFACE.md's "The admin port" and turns the
// scheduler's and the gateway's own words into them. It uses net/http: nothing
// here is on the way of a request, and nothing here is spoken to by strangers.
// The admin port has no authentication and must not be reachable by clients.
//
// New makes a Server, Serve runs it once; Push runs beside it. Both end with
// their context and leave no goroutine.
package admin
