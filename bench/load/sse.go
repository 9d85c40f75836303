package load

import (
	"bytes"
	"errors"
)

// maxEvent bounds one event's line, whole or not.
const maxEvent = 1 << 20

var errLongEvent = errors.New("a line of the stream is longer than 1 MiB")

// events takes the bytes of a server-sent event stream apart as they come. Each
// data line is given as an event, since no engine writes events of more than
// one; other lines are dropped. Lines end with \n or \r\n.
type events struct {
	in    []byte // what came last and was not looked at
	carry []byte // a line whose end has not come
}

func (e *events) reset() { e.in, e.carry = nil, e.carry[:0] }

// feed gives the next piece of the stream; the one before is used up.
func (e *events) feed(p []byte) { e.in = p }

// next is the data of the next whole event; false when more has to come. It is
// valid until the next call.
func (e *events) next() (data []byte, ok bool, err error) {
	for {
		line, ok := e.line()
		if !ok {
			if len(e.carry) > maxEvent {
				return nil, false, errLongEvent
			}
			return nil, false, nil
		}
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			return bytes.TrimSpace(data), true, nil
		}
	}
}

func (e *events) line() (line []byte, ok bool) {
	i := bytes.IndexByte(e.in, '\n')
	if i < 0 {
		e.carry = append(e.carry, e.in...)
		e.in = nil
		return nil, false
	}
	line, e.in = e.in[:i], e.in[i+1:]
	if len(e.carry) > 0 {
		line = append(e.carry, line...)
		e.carry = line[:0] // overwritten by what comes after line was used
	}
	return line, true
}
