// Package predict learns how fast an instance is, from the times that its
// requests take anyway, and says what another request would cost there.
//
//	fit.go    a robust recursive fit of a few coefficients
//	speed.go  what is known of one instance: its first tokens and its steps
//	output.go how long answers are, by who asks and what
//	errors.go how wrong the predictions were
//
// Nothing here has a constant of any model or GPU: an engine is a line through
// what it did. A first token comes after a fixed time, a time for each token
// of its own prompt, one for each of the prompts ahead, and a part of a step
// under way; a step takes a
// fixed time, a time for each answer in it, for each token that these look back
// on, and for each prompt token computed within it.
//
// Reading is atomics. Learning takes a lock that nobody waits for: of two
// measurements at the same moment one is dropped.
package predict
