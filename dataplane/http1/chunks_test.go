package http1

import (
	"fmt"
	"strings"
	"testing"
)

// chunked reads b in pieces of the given sizes, as inPieces; n is how far it got.
func chunked(c *Chunks, b, sizes []byte) (data []byte, n int, err error) {
	for i := 0; n < len(b) && !c.Done(); i++ {
		k := 1
		if len(sizes) > 0 {
			k = max(1, int(sizes[i%len(sizes)]))
		}
		for piece := b[n:min(n+k, len(b))]; len(piece) > 0 && !c.Done(); {
			d, k, err := c.Next(piece)
			data, n = append(data, d...), n+k
			if err != nil {
				return data, n, err
			}
			if k == 0 {
				panic("no progress")
			}
			piece = piece[k:]
		}
	}
	return data, n, nil
}

// large is the size of a piece that holds every test's body.
var large = []byte{255}

func TestChunks(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		for _, sizes := range [][]byte{large, nil, {2}, {3, 1}} {
			var c Chunks
			data, n, err := chunked(&c, []byte(body+"rest"), sizes)
			if string(data) != want || n != len(body) || err != nil || !c.Done() {
				t.Errorf("%q in pieces of %v: got %q, %d, %v, done %v", body, sizes, data, n, err, c.Done())
			}
			if data, n, err := c.Next([]byte("x")); data != nil || n != 0 || err != nil {
				t.Errorf("%q: after the end: %q, %d, %v", body, data, n, err)
			}
		}
	}
	f("0\r\n\r\n", "")
	f("000\r\n\r\n", "")
	f("5\r\nhello\r\n0\r\n\r\n", "hello")
	f("5\r\nhello\r\n1\r\n \r\n00a\r\nworld\r\nyou\r\n0\r\n\r\n", "hello world\r\nyou")
	f("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789")
	f("0000000000000001\r\nx\r\n0000000000000000\r\n\r\n", "x")
	f("1;a\r\nx\r\n0;b=\"c\xff\t;\"\r\n\r\n", "x")
	f("1;\r\nx\r\n0;\r\n\r\n", "x")
	f("1\r\nx\r\n0\r\nA: b\r\nContent-Length:\t5\xff\r\nC:\r\n\r\n", "x")
	f("1;"+strings.Repeat("a", maxExtension)+"\r\nx\r\n0\r\n\r\n", "x")
	f("0\r\nA:"+strings.Repeat("b", maxTrailer-2)+"\r\n\r\n", "")
}

func TestChunksRefused(t *testing.T) {
	// f reads good and then bad, the first byte of which is wrong.
	f := func(good, bad, want string) {
		t.Helper()
		for _, sizes := range [][]byte{large, nil, {2}} {
			var c Chunks
			_, n, err := chunked(&c, []byte(good+bad), sizes)
			refused(t, fmt.Sprintf("%.40q, %q", good, bad), 0, err, 400, "invalid_request", want)
			if n != len(good) || c.Done() {
				t.Errorf("%.40q, %q: refused at %d", good, bad, n)
			}
		}
	}
	f("", "\r\n", "chunk 1 of the body: found a bare CR (lines end with CRLF) where its size should be, expected hexadecimal digits")
	f("", "\n", "where its size should be")
	f("", "g", "found 'g' where its size should be")
	f("", "-1\r\n", "found '-'")
	f("", "+1\r\n", "found '+'")
	f("", " 1\r\n", "found a space")
	f("", ";a\r\n", "found ';'")
	f("0", "x1\r\n", "found 'x' in its size")
	f("1", " \r\n", "found a space in its size")
	f("1", " ;a\r\n", "found a space in its size")
	f("1", "\nx", "found a bare LF (lines end with CRLF) in its size")
	f("1\r", "\rx", "after the CR of its size, expected LF")
	f("1\r", "x", "after the CR of its size, expected LF")
	f("800000000000000", "0\r\n", "in its size, expected at most 16 hexadecimal digits, below 2^63")
	f("fffffffffffffff", "f\r\n", "in its size")
	f("0000000000000000", "1\r\n", "in its size")
	f("1;a", "\nx", "in its extension")
	f("1;a", "\x00", "in its extension")
	f("1;a\r", "a", "after the CR of its size")
	f("1;"+strings.Repeat("a", maxExtension), "a", "in its extension, expected at most 256 bytes")
	f("1\r\nx", "x", "chunk 1 of the body: found 'x' after its data, expected CRLF")
	f("1\r\nx", "\n", "after its data")
	f("1\r\nx\r", "1", "after its data")
	f("1\r\nx\r\n", "\r\n", "chunk 2 of the body")
	f("1\r\nx\r\n0\r\n", "\n", "in the trailer")
	f("0\r\n\r", "\r", "in the trailer")
	f("0\r\n", " a: b\r\n", "found a space in the trailer")
	f("0\r\n", ": b\r\n", "found ':' in the trailer")
	f("0\r\na", " : b\r\n", "found a space in the trailer")
	f("0\r\na", "\r\n", "in the trailer")
	f("0\r\na: b", "\n", "in the trailer")
	f("0\r\na: b", "\x00", "found byte 0x00 in the trailer")
	f("0\r\na: b\r", "c", "in the trailer")
	f("0\r\na: b\r\n", " c\r\n", "in the trailer")
	f("0\r\nA:"+strings.Repeat("b", maxTrailer-2), "b", "in the trailer, expected headers of at most 8192 bytes")
	f("0\r\n"+strings.Repeat("A:\r\n", maxTrailer/2), "A", "in the trailer")
}

// Wherever a body is cut, what Open asks for makes another chunk possible,
// unless the last one has begun.
func TestChunksSayWhatIsOpen(t *testing.T) {
	const body = "5;a\r\nhello\r\n12\r\nhello hello hello.\r\n0\r\nA: b\r\n\r\n"
	last := strings.Index(body, "0\r\nA")
	for i := range len(body) {
		var c Chunks
		chunked(&c, []byte(body[:i]), large)
		line, data, ok := c.Open()
		if ok != (i <= last) {
			t.Errorf("after %q: ok is %v", body[:i], ok)
		}
		if !ok {
			continue
		}
		end := line + strings.Repeat("x", int(data))
		if data > 0 {
			end += "\r\n"
		}
		end += "1\r\nx\r\n0\r\n\r\n"
		if _, n, err := chunked(&c, []byte(end), large); err != nil || n != len(end) || !c.Done() {
			t.Errorf("after %q, %q: %d bytes taken, %v", body[:i], end, n, err)
		}
	}
}

func between(c *Chunks) bool {
	line, data, ok := c.Open()
	return ok && line == "" && data == 0
}

func TestChunksStandBeforeTheByteThatIsWrong(t *testing.T) {
	var c Chunks
	data, n, err := c.Next([]byte("5\r\nhello\r\nx"))
	if string(data) != "hello" || n != 10 || err != nil {
		t.Fatalf("got %q, %d, %v", data, n, err)
	}
	for range 2 {
		if data, n, err = c.Next([]byte("x")); data != nil || n != 0 || err == nil || !between(&c) {
			t.Fatalf("got %q, %d, %v", data, n, err)
		}
	}
	if data, n, err = c.Next([]byte("2\r\nxy\r\n")); string(data) != "xy" || n != 7 || err != nil {
		t.Fatalf("got %q, %d, %v", data, n, err)
	}
	c.Reset()
	if data, n, err = c.Next(nil); data != nil || n != 0 || err != nil || !between(&c) {
		t.Fatalf("nothing: got %q, %d, %v", data, n, err)
	}
}

func TestNextReturnsSlicesOfItsInput(t *testing.T) {
	var c Chunks
	b := []byte("5\r\nhello\r\n")
	data, _, _ := c.Next(b)
	if &data[0] != &b[3] || cap(data) != 5 {
		t.Fatalf("got %q with capacity %d", data, cap(data))
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	b := []byte("5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n")
	var c Chunks
	f := func() {
		c.Reset()
		total := 0
		for n := 0; !c.Done(); {
			data, k, err := c.Next(b[n:])
			if err != nil {
				t.Fatal(err)
			}
			total, n = total+len(data), n+k
		}
		if total != 21 {
			t.Fatal(total)
		}
	}
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
