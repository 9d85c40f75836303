// Package telemetry is what the router counts and measures itself with: a
// writer of the Prometheus text format, and the counters, histograms and
// windows that feed it.
//
// There is no registry. A component owns its rows as plain fields, updates
// them from any goroutine, and writes its own families when somebody asks for
// /metrics (Collector). A row that nobody holds is gone, a name that is written
// twice shows in the text.
//
// Counter and Histogram are atomics and allocate nothing; Window takes one
// mutex. A Writer belongs to one goroutine. The package knows nothing of the
// metrics' names, keeps no history beyond Window's minute, and does no I/O.
package telemetry
