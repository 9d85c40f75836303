package http1

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// scan finds where a head ends. It remembers what it has seen, so that a head
// that comes byte by byte is looked at once: offsets, since the caller may move
// the bytes meanwhile.
type scan struct {
	line int // where the last line begins
	seen int // no further line ends before this
}

// end is the length of the head in b, whose first line begins at from; 0: its
// end has not come. A line that ends without CR is an error.
func (s *scan) end(b []byte, from int) (int, *Error) {
	if s.seen < from || s.seen > len(b) {
		s.line, s.seen = from, from
	}
	for {
		i := bytes.IndexByte(b[s.seen:], '\n')
		if i < 0 {
			s.seen = len(b)
			return 0, nil
		}
		i += s.seen
		if i == s.line || b[i-1] != '\r' {
			return 0, wrong(i, "found %s", show('\n'))
		}
		if i-1 == s.line {
			return i + 1, nil
		}
		s.line, s.seen = i+1, i+1
	}
}

// Words of eight equal bytes, to look at eight bytes at a time.
const (
	ones = 0x0101010101010101
	tops = 0x80 * ones
)

// control has the top bit set in each byte of x that is a control character,
// tab and DEL among them. The lowest such bit is exact; a borrow can set bits
// above it.
func control(x uint64) uint64 {
	del := x ^ 0x7f*ones
	return ((x-' '*ones)&^x | (del-ones)&^del) & tops
}

// text is the index of the first control character from i on, len(b) if there
// is none. A tab is text.
func text(b []byte, i int) int {
	for i+8 <= len(b) {
		m := control(binary.LittleEndian.Uint64(b[i:]))
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && (b[i] >= ' ' && b[i] != 0x7f || b[i] == '\t') {
		i++
	}
	return i
}

// isToken holds for the bytes of a token (RFC 9110, 5.6.2): methods, names,
// options.
var isToken = func() (t [256]bool) {
	for c := range t {
		t[c] = c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] = true
	}
	return t
}()

// token is the index after the token at i.
func token(b []byte, i int) int {
	for i < len(b) && isToken[b[i]] {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c-'0' < 10 }

// foldIs says whether b is lower, a lower-case ASCII word, in any case. b holds
// no control character.
func foldIs(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// trim takes spaces and tabs from both ends of b.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
