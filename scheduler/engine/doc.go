// Package engine reads one inference engine over HTTP: what its metrics page
// says of its load, which models it serves, and whether it is healthy.
//
// It owns the table of engine kinds (profiles.go: which metric of which
// version says what), the parser of the Prometheus text format, the choice
// between the full page and the lean one, and the single keep-alive
// connection that a Client scrapes over.
//
// A Client belongs to one goroutine at a time, the instance's scraper; only
// Close may be called from another. No goroutine outlives a call, and a scrape
// over an open connection allocates nothing.
//
// It does not decide when to scrape, keeps no history, and judges no instance:
// that is the scheduler's part, which tells failures apart by the sentinels of
// errors.go.
package engine
