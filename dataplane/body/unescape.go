package body

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// unescape appends to dst the text of src, the inside of a string that text
// has accepted. It stops, and says false, where dst would outgrow its capacity.
// Half of a surrogate pair becomes U+FFFD: there are no bytes for it.
func unescape(dst, src []byte) ([]byte, bool) {
	for len(src) > 0 {
		n := bytes.IndexByte(src, '\\')
		if n < 0 {
			n = len(src)
		}
		if len(dst)+n > cap(dst) {
			return dst, false
		}
		dst, src = append(dst, src[:n]...), src[n:]
		if len(src) == 0 {
			break
		}
		r, n := escaped(src)
		src = src[n:]
		if len(dst)+utf8.RuneLen(r) > cap(dst) {
			return dst, false
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, true
}

// escaped is the character of the escape sequence, or the surrogate pair of
// two, that src begins with, and its length in src.
func escaped(src []byte) (r rune, n int) {
	switch c := src[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return rune(c), 2
	}
	r = unit(src)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(src) >= 12 && src[6] == '\\' && src[7] == 'u' {
		if pair := utf16.DecodeRune(r, unit(src[6:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// unit is the UTF-16 unit of the \uXXXX that src begins with.
func unit(src []byte) rune {
	return rune(hexDigit[src[2]])<<12 | rune(hexDigit[src[3]])<<8 | rune(hexDigit[src[4]])<<4 | rune(hexDigit[src[5]])
}
