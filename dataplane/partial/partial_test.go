package partial

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestUTF8(t *testing.T) {
	f := func(text string, n int, ok bool) {
		t.Helper()
		if got, good := UTF8([]byte(text)); good != ok || (ok && got != n) {
			t.Errorf("%q: got %d, %v; want %d, %v", text, got, good, n, ok)
		}
	}
	f("", 0, true)
	f("plain", 5, true)
	f("\u03bb", 2, true)
	f("a\xce", 1, true)         // λ is to come
	f("a\xf0\x9f\x98", 1, true) // a face
	f("a\xf0\x9f\x98\x80", 5, true)
	f("\xf4\x90", 0, false) // above the last character
	f("\xf4\x8f", 0, true)  // the last row
	f("\xed\xa0", 0, false) // half of a surrogate pair
	f("\xc0", 0, false)     // no character begins so
	f("\xe0\x80", 0, false) // would be longer than need be
	f("\x80", 0, false)
	f("\xce\x80\x80", 0, false)
	f("a\x80\x80\x80\x80", 0, false)
	f("\xcea", 0, false)
}

// FuzzUTF8 feeds text byte by byte: it is refused exactly when no end makes
// UTF-8 of what has come.
func FuzzUTF8(f *testing.F) {
	for _, s := range []string{"", "\u03bb\u03cc\u03b3\u03bf\u03c2", "\U0001F600", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3", "\xff"} {
		f.Add([]byte(s))
	}
	ends := []string{"", "\x80", "\x80\x80", "\x80\x80\x80", "\xbf", "\x9f", "\x9f\x80", "\xbf\x80", "\xbf\x80\x80", "\x8f\x80\x80", "\x90\x80\x80"}
	f.Fuzz(func(t *testing.T, p []byte) {
		for n := range len(p) + 1 {
			can := false
			for _, end := range ends {
				can = can || utf8.ValidString(string(p[:n])+end)
			}
			whole, ok := UTF8(p[:n])
			if ok != can {
				t.Fatalf("%q: ok is %v, want %v", p[:n], ok, can)
			}
			if ok && (!utf8.Valid(p[:whole]) || n-whole > 3) {
				t.Fatalf("%q: %d bytes of whole characters", p[:n], whole)
			}
			if !ok {
				return
			}
		}
	})
}

func BenchmarkUTF8(b *testing.B) {
	p := []byte(strings.Repeat("plain text, ", 4096))
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		UTF8(p)
	}
}
