package http1

import (
	"fmt"
	"strconv"
)

// Error says what is wrong with a message, and where. What follows it on the
// connection cannot be read.
type Error struct {
	Status int    // for the client: 400, 417, 431 or 505; 502 where an answer is wrong
	Code   string // INTERFACE.md's, such as invalid_request
	Msg    string // where, what was found, and what would be right
}

func (e *Error) Error() string { return e.Msg }

// wrong is the error of a message whose head's byte at is wrong.
func wrong(at int, format string, args ...any) *Error {
	return &Error{Status: 400, Code: "invalid_request",
		Msg: "byte " + strconv.Itoa(at) + " of the head: " + fmt.Sprintf(format, args...)}
}

// show makes one byte of a message readable.
func show(c byte) string {
	switch {
	case c == ' ':
		return "a space"
	case c == '\t':
		return "a tab"
	case c == '\r':
		return "a bare CR (lines end with CRLF)"
	case c == '\n':
		return "a bare LF (lines end with CRLF)"
	case c > ' ' && c < 0x7f:
		return "'" + string(rune(c)) + "'"
	}
	return fmt.Sprintf("byte 0x%02x", c)
}

// quote makes a piece of a message fit for an error. Values of headers that may
// be secret are never quoted.
func quote(b []byte) string {
	const most = 40
	if len(b) > most {
		return strconv.QuoteToASCII(string(b[:most])) + "…"
	}
	return strconv.QuoteToASCII(string(b))
}
