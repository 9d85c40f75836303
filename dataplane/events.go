package dataplane

import (
	"bytes"
	"errors"
)

// events takes an event stream apart, wherever it is cut: what of it is each
// event's data (WHATWG HTML, 9.2.6). The zero value is ready.
type events struct {
	line []byte // the beginning of one that is not over
	data []byte // of the event under way
	some bool   // it has some
}

var errLargeEvent = errors.New("an event is larger than limits.body_bytes")

// feed goes over a piece and gives each event's data to emit, which must not keep
// it. An event of more than most bytes is an error.
func (e *events) feed(p []byte, most int, emit func(data []byte) error) error {
	for {
		i := bytes.IndexByte(p, '\n')
		if len(e.line)+len(e.data)+max(i, 0) > most || i < 0 && len(e.line)+len(p) > most {
			return errLargeEvent
		}
		if i < 0 {
			e.line = append(e.line, p...)
			return nil
		}
		line := p[:i]
		if len(e.line) > 0 {
			e.line = append(e.line, line...)
			line = e.line
		}
		if err := e.read(bytes.TrimSuffix(line, []byte("\r")), emit); err != nil {
			return err
		}
		e.line, p = e.line[:0], p[i+1:]
	}
}

// read takes a line.
func (e *events) read(line []byte, emit func(data []byte) error) error {
	if len(line) == 0 {
		return e.end(emit)
	}
	data, ok := bytes.CutPrefix(line, []byte("data:"))
	if !ok && !bytes.Equal(line, doneMark) { // BladeLLM's [DONE] is no data
		return nil
	}
	if ok {
		data = bytes.TrimPrefix(data, []byte(" "))
	}
	if e.some {
		e.data = append(e.data, '\n')
	}
	e.data, e.some = append(e.data, data...), true
	return nil
}

func (e *events) end(emit func(data []byte) error) error {
	if !e.some {
		return nil
	}
	data := e.data
	e.data, e.some = e.data[:0], false
	return emit(data)
}

// flush gives away what the end of the stream ends.
func (e *events) flush(emit func(data []byte) error) error {
	line := e.line
	e.line = nil
	if len(line) > 0 {
		if err := e.read(bytes.TrimSuffix(line, []byte("\r")), emit); err != nil {
			return err
		}
	}
	return e.end(emit)
}
