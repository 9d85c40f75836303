package http1

import "fmt"

// Bounds of what is not data in a chunked body, in bytes.
const (
	maxDigits    = 16      // of a chunk's size, leading zeros too
	maxExtension = 256     // of one chunk
	maxTrailer   = 8 << 10 // all lines
)

// Chunks reads a body in chunks (RFC 9112, 7.1) as its pieces come. It takes no
// byte away and adds none: whoever passes the pieces on untouched passes on the
// framing. Extensions and trailers mean nothing here. The zero Chunks is ready.
type Chunks struct {
	left  int64 // data bytes missing of the current chunk; in its size line, its size so far
	count int   // chunks begun
	line  int   // bytes of the current size, extension or of the trailer
	state chunkState
}

type chunkState uint8

const (
	atSize      chunkState = iota // between two chunks
	inSize                        // after a digit of the size
	inExtension                   // after the size's semicolon
	atSizeLF                      // after the CR of the size line
	inData                        //
	atDataCR                      // the data is whole
	atDataLF                      //
	atTrailer                     // after the last chunk's line, or a trailer's
	inName                        // of a trailer
	inValue                       // of a trailer
	atValueLF                     // after the CR of a trailer
	atLastLF                      // after the CR of the blank line
	whole                         // the body is over
)

// Reset begins with another body.
func (c *Chunks) Reset() { *c = Chunks{} }

// Done says that the body is whole: nothing further belongs to it.
func (c *Chunks) Done() bool { return c.state == whole }

// Open says what the body has left open: the bytes that end its current line,
// and how many of data must follow before another chunk may begin, with a line's
// end of their own if there are any. It is not ok where no other chunk can
// follow: the last one has begun.
func (c *Chunks) Open() (line string, data int64, ok bool) {
	switch c.state {
	case atSize:
		return "", 0, true
	case inSize, inExtension:
		return "\r\n", c.left, c.left > 0
	case atSizeLF:
		return "\n", c.left, c.left > 0
	case inData:
		return "", c.left, true
	case atDataCR:
		return "\r\n", 0, true
	case atDataLF:
		return "\n", 0, true
	}
	return "", 0, false
}

// Next takes the first n bytes of b, of which data, in b, is the part of the body
// that they hold: one piece of one chunk, or nothing. It takes at least one
// byte of what is there unless the body is whole or the first byte is wrong;
// then the error is an *Error, and the state is that before the byte.
func (c *Chunks) Next(b []byte) (data []byte, n int, err error) {
	for n < len(b) && c.state != whole {
		if c.state == inData {
			if data != nil {
				return data, n, nil
			}
			k := int(min(int64(len(b)-n), c.left))
			data = b[n : n+k : n+k]
			n += k
			if c.left -= int64(k); c.left == 0 {
				c.state = atDataCR
			}
			continue
		}
		if !c.step(b[n]) {
			if n > 0 { // the next call begins with it
				return data, n, nil
			}
			return nil, 0, c.wrong(b[0])
		}
		n++
	}
	return data, n, nil
}

// step takes one byte of the framing, or says that it cannot stand there.
func (c *Chunks) step(b byte) bool {
	switch c.state {
	case atSize, inSize:
		return c.size(b)
	case inExtension:
		if b == '\r' {
			return c.to(atSizeLF)
		}
		return isText(b) && c.grow(maxExtension)
	case atSizeLF:
		switch {
		case b != '\n':
			return false
		case c.left == 0:
			c.line = 0
			return c.to(atTrailer)
		}
		return c.to(inData)
	case atDataCR:
		return b == '\r' && c.to(atDataLF)
	case atDataLF:
		return b == '\n' && c.to(atSize)
	case atLastLF:
		return b == '\n' && c.to(whole)
	}
	return c.trailer(b)
}

// size takes a byte of a chunk's size.
func (c *Chunks) size(b byte) bool {
	digit := hexDigit(b)
	switch {
	case c.state == atSize:
		if digit < 0 {
			return false
		}
		c.count++
		c.left, c.line = digit, 1
		return c.to(inSize)
	case digit >= 0:
		// Sixteen digits fit as long as the first leaves the sign alone.
		if c.left > 1<<59-1 || !c.grow(maxDigits) {
			return false
		}
		c.left = c.left<<4 | digit
		return true
	case b == ';':
		c.line = 0
		return c.to(inExtension)
	}
	return b == '\r' && c.to(atSizeLF)
}

// trailer takes a byte of the lines after the last chunk.
func (c *Chunks) trailer(b byte) bool {
	switch {
	case c.state == atTrailer && b == '\r':
		return c.to(atLastLF)
	case c.state == atTrailer:
		return isToken[b] && c.grow(maxTrailer) && c.to(inName)
	case c.state == inName && b == ':':
		return c.grow(maxTrailer) && c.to(inValue)
	case c.state == inName:
		return isToken[b] && c.grow(maxTrailer)
	case c.state == inValue && b == '\r':
		return c.to(atValueLF)
	case c.state == inValue:
		return isText(b) && c.grow(maxTrailer)
	}
	return b == '\n' && c.to(atTrailer) // atValueLF
}

func (c *Chunks) to(s chunkState) bool {
	c.state = s
	return true
}

// grow counts one more byte of something that has at most most.
func (c *Chunks) grow(most int) bool {
	if c.line >= most {
		return false
	}
	c.line++
	return true
}

// wrong says why b cannot come next.
func (c *Chunks) wrong(b byte) *Error {
	var where, want string
	switch c.state {
	case atSize:
		where, want = "where its size should be", "hexadecimal digits"
	case inSize:
		where, want = "in its size", "at most 16 hexadecimal digits, below 2^63, and CRLF"
	case inExtension:
		where, want = "in its extension", fmt.Sprintf("at most %d bytes of text and CRLF", maxExtension)
	case atSizeLF:
		where, want = "after the CR of its size", "LF"
	case atDataCR, atDataLF:
		where, want = "after its data", "CRLF"
	default:
		where, want = "in the trailer", fmt.Sprintf("headers of at most %d bytes, and a blank line", maxTrailer)
	}
	count := c.count
	if c.state == atSize {
		count++
	}
	return &Error{Status: 400, Code: "invalid_request",
		Msg: fmt.Sprintf("chunk %d of the body: found %s %s, expected %s", count, show(b), where, want)}
}

func isText(b byte) bool { return b >= ' ' && b != 0x7f || b == '\t' }

// hexDigit is the value of a hexadecimal digit, -1 for every other byte.
func hexDigit(b byte) int64 {
	switch {
	case isDigit(b):
		return int64(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return int64(b|0x20-'a') + 10
	}
	return -1
}
