// Package partial checks text that comes in pieces, so that what is no text is
// known before the rest of it has come. It keeps nothing: any goroutine may call
// it.
package partial

import "unicode/utf8"

// UTF8 returns how many bytes at the beginning of p are whole characters; up
// to three at the end may begin another. ok is false if p is no beginning of
// UTF-8, whatever may follow: then n says nothing.
func UTF8(p []byte) (n int, ok bool) {
	n = len(p)
	for i := n - 1; i >= 0 && i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				n = i
			}
			break
		}
	}
	return n, utf8.Valid(p[:n])
}
