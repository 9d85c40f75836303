package body

import "fmt"

// Error says what is wrong with a body, and where. The request is the client's
// mistake (invalid_request) and must not reach an engine.
type Error struct {
	Offset int    // the byte at which it is wrong; the body's length when it ends too early
	Param  string // the routing key that is wrong, empty for an error of syntax
	Msg    string // what was found and what would be right
}

func (e *Error) Error() string {
	if e.Param != "" {
		return fmt.Sprintf("%s at byte %d: %s", e.Param, e.Offset, e.Msg)
	}
	return fmt.Sprintf("byte %d: %s", e.Offset, e.Msg)
}

// truncated is the error of a body that ends inside what.
func truncated(b []byte, what string) *Error {
	return &Error{Offset: len(b), Msg: "the body ends inside " + what}
}

// unexpected is the error of a byte at i that cannot stand there; inside names
// what the body ends in, when that is what is wrong.
func unexpected(b []byte, i int, want, inside string) *Error {
	if i >= len(b) {
		return truncated(b, inside)
	}
	return &Error{Offset: i, Msg: "expected " + want + ", found " + show(b[i])}
}

// wrongType is the error of key k, whose value at i is none of want.
func wrongType(b []byte, i int, k Key, want string) *Error {
	return &Error{Offset: i, Param: k.String(), Msg: "expected " + want + ", found " + kindOf(b[i])}
}

// kindOf names the JSON value that begins with c.
func kindOf(c byte) string {
	switch {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "an array"
	case c == 't', c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	case c == '-', isDigit(c):
		return "a number"
	}
	return show(c)
}

// show makes one byte of a body readable.
func show(c byte) string {
	if c > ' ' && c < 0x7f {
		return "'" + string(rune(c)) + "'"
	}
	return fmt.Sprintf("byte 0x%02x", c)
}
