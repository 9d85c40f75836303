// Package body reads from a request body what routing needs, once, where it
// lies: the model, whether to stream, how many tokens at most, and where the
// prompt is and how much text it holds.
//
// It owns the grammar: what is JSON (RFC 8259 as encoding/json reads it, with
// UTF-8 checked as the engines' Python does), which keys routing reads, which
// types they may have, and which field of a multipart form names the model.
// Bodies are hostile: work is linear in their length, nesting is bounded, and
// nothing is allocated unless there is an error to describe.
//
// A Scanner belongs to one goroutine at a time and lives as long as what it
// found is used. The package builds no tree, copies and changes no body, does
// no I/O, and judges no value beyond its type: whether a model exists or a
// prompt fits is for the scheduler and the engine to say.
package body
