package body

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// Words of eight equal bytes, to look at eight bytes of text at a time.
const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
)

// special has the top bit set in each byte of x that is no plain text: a quote,
// a backslash, a control character or non-ASCII. The lowest such bit is exact;
// a borrow can set bits above it, and other bits mean nothing.
//
// With bit 1 flipped, the control characters and the quote (0x22) are all the
// bytes below 0x21, so one subtraction finds both.
func special(x uint64) uint64 {
	return ((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones) | x
}

// plain is the index of the first byte from i on that is special, len(b) if
// there is none.
func plain(b []byte, i int) int {
	// Most strings are short: one word, before the loop for the long ones.
	if i+8 <= len(b) {
		if m := special(binary.LittleEndian.Uint64(b[i:])) & tops; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	p := b[i:]
	if fast && len(p) >= 64 {
		n := plain32(p)
		if n < len(p)&^31 {
			return i + n
		}
		p = p[n:]
	}
	for len(p) >= 32 {
		m := special(binary.LittleEndian.Uint64(p[0:])) |
			special(binary.LittleEndian.Uint64(p[8:])) |
			special(binary.LittleEndian.Uint64(p[16:])) |
			special(binary.LittleEndian.Uint64(p[24:]))
		if m&tops != 0 {
			break
		}
		p = p[32:]
	}
	for len(p) >= 8 {
		if m := special(binary.LittleEndian.Uint64(p)) & tops; m != 0 {
			return len(b) - len(p) + bits.TrailingZeros64(m)/8
		}
		p = p[8:]
	}
	for k, c := range p {
		if c == '"' || c == '\\' || c < ' ' || c >= utf8.RuneSelf {
			return len(b) - len(p) + k
		}
	}
	return len(b)
}

// text reads the string whose first byte after the opening quote is at i. end
// is the closing quote; end-i-saved is the string's length when unescaped, and
// saved is 0 exactly when it has no escapes.
func text(b []byte, i int) (end, saved int, err *Error) {
	for {
		i = plain(b, i)
		if i >= len(b) {
			return 0, 0, truncated(b, "a string")
		}
		switch c := b[i]; {
		case c == '"':
			return i, saved, nil
		case c == '\\':
			n := escape(b, i)
			if n == 0 {
				return 0, 0, badEscape(b, i)
			}
			i += n
			// What an escape shrinks by: \n to one byte, \uXXXX to about three.
			saved += n >> 1
		case c < ' ':
			return 0, 0, &Error{Offset: i, Msg: "a string holds " + show(c) + "; control characters must be escaped"}
		default:
			if i = runes(b, i); i < 0 {
				return 0, 0, &Error{Offset: -i - 1, Msg: "a string holds " + show(b[-i-1]) + ", which is not UTF-8 there"}
			}
		}
	}
}

// escape is the length of the escape sequence at i, 0 if it is none. Half of a
// surrogate pair stands for itself, as Python's json takes it.
func escape(b []byte, i int) int {
	if i+1 >= len(b) {
		return 0
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if i+6 <= len(b) && hexDigit[b[i+2]]|hexDigit[b[i+3]]|hexDigit[b[i+4]]|hexDigit[b[i+5]] < 16 {
			return 6
		}
	}
	return 0
}

// badEscape says what is wrong with the escape sequence at i.
func badEscape(b []byte, i int) *Error {
	if i+1 >= len(b) {
		return truncated(b, "a string")
	}
	if b[i+1] != 'u' {
		return &Error{Offset: i, Msg: `a string holds \ before ` + show(b[i+1]) + `, which is no escape; a backslash is written \\`}
	}
	for k := i + 2; k < i+6; k++ {
		if k == len(b) {
			return truncated(b, "a string")
		}
		if hexDigit[b[k]] >= 16 {
			return &Error{Offset: k, Msg: `expected four hexadecimal digits after \u, found ` + show(b[k])}
		}
	}
	return nil
}

// runes is the index after the run of non-ASCII characters at i, or -1-k where
// the byte at k is not UTF-8.
func runes(b []byte, i int) int {
	for i < len(b) && b[i] >= utf8.RuneSelf {
		if i+8 <= len(b) {
			// Two of three bytes, at once; a bit of common is clear for 0xe0 and
			// 0xed, after which more is to be checked.
			const common = 0xdffe
			x := binary.LittleEndian.Uint64(b[i:])
			if x&0xc0c0f0_c0c0f0 == 0x8080e0_8080e0 && common>>(x&15)&(common>>(x>>24&15))&1 != 0 {
				i += 6
				continue
			}
		}
		if i+4 <= len(b) {
			x := binary.LittleEndian.Uint32(b[i:])
			// Two bytes, 110xxxxx 10xxxxxx; no x set above the lowest of the first
			// byte means that one byte would have done.
			if x&0xc0e0 == 0x80c0 && x&0x1e != 0 {
				i += 2
				continue
			}
			// Three bytes, 1110xxxx 10xxxxxx 10xxxxxx. Bit 5 of the second decides
			// after 0xe0 whether two would have done, after 0xed whether it is half
			// of a surrogate pair.
			if x&0xc0c0f0 == 0x8080e0 && x&0x200f != 0 && x&0x200f != 0x200d {
				i += 3
				continue
			}
		}
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return -1 - i
		}
		i += n
	}
	return i
}

// hexDigit is the value of a hexadecimal digit, 0xff for every other byte.
var hexDigit = func() (t [256]byte) {
	for c := range t {
		t[c] = 0xff
	}
	for v, c := range "0123456789abcdef" {
		t[c] = byte(v)
	}
	for v, c := range "ABCDEF" {
		t[c] = byte(10 + v)
	}
	return t
}()
