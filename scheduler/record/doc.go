// Package record keeps what decisions were made from.
//
// The last of them are in a ring (ring.go), which whoever decides writes without
// a lock or an allocation, and people read. Who wants all of them has a Recorder
// (recorder.go) follow the ring into a file (file.go), which a Reader reads back
// (reader.go). What a decision is made of stands in decision.go, as the API and
// the file have it.
//
// The file is JSON, one decision a line after a line that says what it is,
// compressed with zstd: zstdcat and jq read it. It has no text of any prompt.
//
// The package knows nothing of policies: package scheduler fills the ring in, and
// can ask other policies about what was recorded.
package record
