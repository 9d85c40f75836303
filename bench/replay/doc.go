// Package replay asks policies about the decisions that penstock serve --record
// has, and compares them with what was done.
//
// Each decision is asked about as it was. What a policy's other choices would
// have led to is not known from a recording: for that there is bench/fleet.
package replay
