// Package config turns a file and flags into the configurations of the
// packages that the binary is made of.
//
// It owns the names of INTERFACE.md: which key maps on which field, which keys
// name a part that does not exist yet, and how the router JSON of the managed
// service reads. What a value may be is the concern of the package that uses
// it: its Validate is asked, and its answer gets the file and line.
//
// Load is called once, from main, before any other goroutine runs. Nothing in
// a file is ignored: a key either means something here, is named in Warnings,
// or is refused.
package config
