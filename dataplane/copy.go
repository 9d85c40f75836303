package dataplane

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// copyMover moves an answer on the request's own goroutine: read what has come,
// write it on, in one write however much it is (flow.go). Back-pressure is the
// client's socket: while it takes nothing, nothing is read from the engine.
type copyMover struct{ g *Gateway }

// inlineBody is how large a body may be to be copied behind its head for the
// sake of a single write.
const inlineBody = 8 << 10

func (m copyMover) move(t *attempt, to sink) outcome {
	f := &t.flow
	f.begin(m.g, t, to)
	out := f.run()
	putBuffer(f.in)
	f.in = nil
	return out
}

// send writes the request: head and body in one write where a copy is cheap,
// else gathered.
func (t *attempt) send() error {
	if len(t.body) <= inlineBody {
		both := getBuffer(len(t.head) + len(t.body))
		defer putBuffer(both)
		n := copy(both.b, t.head)
		n += copy(both.b[n:], t.body)
		_, err := t.up.Write(both.b[:n])
		return err
	}
	both := net.Buffers{t.head, t.body}
	_, err := both.WriteTo(t.up.Conn)
	return err
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

func isReset(err error) bool {
	return isErrno(err, syscall.ECONNRESET) || isErrno(err, syscall.EPIPE)
}

func isErrno(err error, want syscall.Errno) bool { return errors.Is(err, want) }
