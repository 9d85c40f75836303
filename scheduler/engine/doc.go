// Package engine reads one inference engine over HTTP: what it says of its
// load, which models it serves, what it is, and whether it is healthy.
//
// It owns the table of engine kinds (profiles.go: which series of which version
// says what), the readers of the Prometheus text format and of JSON documents,
// the finding out of the kind, the choice between the load document, the full
// page and the lean one, and the single keep-alive connection that a Client
// scrapes over. An operator's own engine (Custom) is one more row.
//
// A Client belongs to one goroutine at a time, the instance's scraper; only
// Close may be called from another. No goroutine outlives a call, and a scrape
// over an open connection allocates nothing once the engine is known.
//
// It does not decide when to scrape, keeps no history, and judges no instance:
// that is the scheduler's part, which tells failures apart by the sentinels of
// errors.go.
package engine
