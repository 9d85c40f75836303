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

// nearest returns the known name that takes the fewest edits to become name,
// or "" where none is near enough to be what was meant.
func nearest(name string, known []string) string {
	if len(name) > 64 || len(known) == 0 {
		return ""
	}
	edits := func(k string) int { return levenshtein(strings.ToLower(name), k) }
	best := slices.MinFunc(known, func(a, b string) int { return cmp.Compare(edits(a), edits(b)) })
	if edits(best) > max(2, len(best)/2) {
		return ""
	}
	return best
}

// levenshtein counts the bytes to insert, delete or replace to get from a to b.
func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
