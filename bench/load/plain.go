package load

import (
	"strings"
	"unicode"
)

// plain is what a server said, without the characters that a terminal would obey.
func plain(said string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, said)
}
