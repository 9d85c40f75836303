package load

import (
	"errors"
	"io"
	"strconv"
	"syscall"

	"github.com/valyala/fasthttp"
)

// Classes of errors, as the report names them; an answer with a status of its
// own has that as its class, such as "503".
const (
	classConnect     = "connect"      // no connection came about
	classReset       = "reset"        // the connection was reset
	classClosed      = "closed"       // it was closed before an answer
	classTimeout     = "timeout"      // the answer was not whole in time
	classTruncated   = "truncated"    // the answer ended early: no [DONE], or fewer bytes than announced
	classStreamError = "stream_error" // an error in the place of an event, or of a body with status 200
	classProtocol    = "protocol"     // no HTTP, or no completion
)

// classOf is the class of what went wrong; within says that the answer had
// begun.
func classOf(err error, within bool) string {
	var timeout interface{ Timeout() bool }
	var connecting *connectError
	var chunk fasthttp.ErrBrokenChunk // wraps nothing, and is what a cut within a chunk's frame looks like
	switch {
	case errors.As(err, &connecting):
		return classConnect
	case errors.As(err, &timeout) && timeout.Timeout():
		return classTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return classReset
	case within && (errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &chunk)):
		return classTruncated
	case errors.Is(err, fasthttp.ErrConnectionClosed), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return classClosed
	}
	return classProtocol
}

func classOfStatus(status int) string { return strconv.Itoa(status) }
