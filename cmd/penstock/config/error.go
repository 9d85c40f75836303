package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is a value that cannot be used, and where it stands. It prints as
//
//	FILE:LINE: KEY: message (did you mean "…"?)
//
// with only those parts that are known. A flag stands in the place of the key.
type Error struct {
	File    string
	Line    int    // 1 is the first; 0: the file as a whole
	Key     string // dotted, as in queue.max_size, or a flag
	Message string
	Near    string // the nearest known name, if one is near

	known []string // the keys that there are where an unknown one stands
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Message)
	if e.Near != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", e.Near)
	}
	return b.String()
}

// Errors are all that is wrong, in the order in which it was found.
type Errors []error

// Error is all of them in one line, of many the first.
func (e Errors) Error() string {
	const most = 3
	var parts []string
	for _, err := range e[:min(len(e), most)] {
		parts = append(parts, err.Error())
	}
	if more := len(e) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// Unwrap lets errors.As find each.
func (e Errors) Unwrap() []error { return e }

// Parts are the errors that err is of.
func Parts(err error) []error {
	if all, ok := err.(Errors); ok {
		return all
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// join makes one error of all that there are.
func join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		all = append(all, Parts(err)...)
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

// Nearest returns the known name that takes the fewest edits to become name,
// or "" where none is near enough to be what was meant.
func Nearest(name string, known []string) string {
	if len(name) > 64 || len(known) == 0 {
		return ""
	}
	edits := func(k string) int { return distance(strings.ToLower(name), k) }
	best := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(edits(a), edits(b)) })
	if edits(best) > max(1, len(best)/3) || edits(best) >= len(best) {
		return ""
	}
	return best
}

// distance counts the bytes to insert, delete, replace, or change with their
// neighbour, to get from a to b.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
