package engine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/valyala/fasthttp"
)

// Sentinels for errors.Is, by which the scheduler tells failures apart. A
// connection that is refused or reset keeps the system's own error:
// syscall.ECONNREFUSED, syscall.ECONNRESET. A cancelled context keeps
// context.Canceled, and a call that Close ended is net.ErrClosed.
var (
	ErrStatus    = errors.New("unexpected status")
	ErrTimeout   = errors.New("timed out")
	ErrClosed    = errors.New("connection closed before the whole answer")
	ErrProtocol  = errors.New("not a valid answer")
	ErrTooLarge  = fmt.Errorf("answer larger than %d MiB", maxBody>>20)
	ErrNoSignals = errors.New("no known metric on the page")
	// An engine that answers 503 and will answer better by itself.
	ErrLoading = errors.New("the engine is still loading")
	ErrScaling = errors.New("the engine is scaling")
)

// StatusError is an answer other than 200. It is ErrStatus.
type StatusError struct {
	Code     int
	Location string // of a redirect that was not followed
}

func (e *StatusError) Error() string {
	if e.Location != "" {
		return fmt.Sprintf("%v %d to %q, want 200", ErrStatus, e.Code, e.Location)
	}
	return fmt.Sprintf("%v %d, want 200", ErrStatus, e.Code)
}

func (e *StatusError) Is(target error) bool { return target == ErrStatus }

// Answered reports whether err is about what the engine said, and not about
// reaching it: asking again will hear the same.
func Answered(err error) bool { return answered(err) }

// answered reports whether err is about what the other end said, and not about
// reaching it.
func answered(err error) bool {
	for _, said := range []error{ErrStatus, ErrProtocol, ErrTooLarge, ErrNoSignals, ErrLoading, ErrScaling} {
		if errors.Is(err, said) {
			return true
		}
	}
	return false
}

func isStatus(err error, code int) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == code
}

func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// sorted maps what a connection or the HTTP reader said to the sentinels.
func sorted(err error) error {
	var network *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("%w: %w", ErrTimeout, err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return ErrClosed
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return ErrTooLarge
	case errors.Is(err, net.ErrClosed): // by Close
		return err
	case errors.As(err, &network):
		if network.Timeout() { // a dial's deadline is an error of its own
			return fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return err
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}

// Ours reports whether err is this machine's own want, of descriptors, ports or
// memory: it says nothing of the engine.
func Ours(err error) bool {
	for _, own := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}
