package body

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever is not plain is found at every distance from the start, wherever a
// word of eight or thirty-two bytes begins and ends.
func TestPlain(t *testing.T) {
	for c := range 256 {
		for n := range 80 {
			b := []byte(strings.Repeat("x", n) + string([]byte{byte(c)}) + strings.Repeat("~", 80-n) + `"`)
			want := n
			if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
				want = len(b) - 1
			}
			if got := plain(b, 0); got != want {
				t.Fatalf("byte %#02x at %d: found at %d", c, n, got)
			}
		}
	}
	for n := range 80 {
		if got := plain([]byte(strings.Repeat("x", n)), n/2); got != n {
			t.Errorf("nothing in %d bytes: found at %d", n, got)
		}
	}
}

// The first one counts, also where a borrow marks others.
func TestPlainFirst(t *testing.T) {
	for _, after := range []string{"#", "]", "!", "\x00", "\xff"} {
		for n := range 40 {
			s := strings.Repeat("#]!", 40)[:n] + `"` + strings.Repeat(after, 8) + strings.Repeat("x", 40)
			if got := plain([]byte(s), 0); got != n {
				t.Errorf("%q: found at %d, want %d", s, got, n)
			}
		}
	}
}

// What is UTF-8 is what unicode/utf8 says, for all of two bytes and the edges of
// three and four, at the end of a body and before more of it.
func TestRunes(t *testing.T) {
	f := func(s ...byte) {
		t.Helper()
		for _, head := range []string{"", "中"} {
			for _, tail := range []string{"", "x", "é", "中中"} {
				b := append(append(append(make([]byte, 0, 16), head...), s...), tail...)
				if got, want := runes(b, 0), slowRunes(b); got != want {
					t.Fatalf("% x: got %d, want %d", b, got, want)
				}
			}
		}
	}
	edges := []byte{0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff, 0x00, 'x'}
	for a := 0x80; a < 0x100; a++ {
		f(byte(a))
		for b := range 0x100 {
			f(byte(a), byte(b))
		}
		for _, b := range edges {
			for _, c := range edges {
				f(byte(a), b, c)
				for _, d := range edges {
					f(byte(a), b, c, d)
				}
			}
		}
	}
}

// slowRunes is runes, one character after the other.
func slowRunes(b []byte) (i int) {
	for i < len(b) && b[i] >= utf8.RuneSelf {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return -1 - i
		}
		i += n
	}
	return i
}

func TestTextSaved(t *testing.T) {
	f := func(inside string, want int) {
		t.Helper()
		end, saved, err := text([]byte(inside+`" `), 0)
		if err != nil || end != len(inside) || end-saved != want {
			t.Errorf("%s: got length %d of %d, %v, want %d", inside, end-saved, end, err, want)
		}
	}
	f("", 0)
	f("abc", 3)
	f(`\n\"\\\/`, 4)
	f(`a\u4e2db`, 5)
	f("中文\\n", 7)
}

// The room of unescape is never outgrown.
func TestUnescapeRoom(t *testing.T) {
	f := func(src, want string, room int, fits bool) {
		t.Helper()
		got, ok := unescape(make([]byte, 0, room), []byte(src))
		if ok != fits || ok && string(got) != want || cap(got) > room {
			t.Errorf("%s in %d: got %q, %v", src, room, got, ok)
		}
	}
	f(`abc`, "abc", 3, true)
	f(`abc`, "", 2, false)
	f(`ab\u4e2d`, "ab中", 5, true)
	f(`ab\u4e2d`, "", 4, false)
	f(`\ud83d\ude00`, "😀", 4, true)
	f(`\ud83d\ude00`, "", 3, false)
	f(`\n`, "", 0, false)
	f(``, "", 0, true)
}

// Whatever the length of what comes before and after, and wherever the fast
// paths begin and end, the first special byte is found.
func TestPlainFindsASpecialByteAnywhere(t *testing.T) {
	for size := range 140 {
		b := bytes.Repeat([]byte{'~'}, size)
		if got := plain(b, 0); got != size {
			t.Fatalf("none in %d bytes: %d", size, got)
		}
		for at := range size {
			for c := range 256 {
				b[at] = byte(c)
				want := size
				if c < ' ' || c == '"' || c == '\\' || c >= 0x80 {
					want = at
				}
				if got := plain(b, 0); got != want {
					t.Fatalf("%#x at %d of %d: %d, want %d", c, at, size, got, want)
				}
			}
			b[at] = '~'
		}
	}
}
