package dataplane

import "bytes"

// meter counts, as the bytes of an answer pass, what the account and the
// scheduler want to know. It reads no more than it must: events by their blank
// lines, usage by its name.
type meter struct {
	stream   bool
	finished bool  // [DONE], or a finish reason: the stream said that it is whole
	first    int64 // the first byte of the body, ns on the gateway's clock
	last     int64 // the last
	events   int
	told     int // events of which the scheduler knows
	newlines int // that end what has passed: 2 between two events
	usage    usage
}

// usage is what the engine says that it counted; 0: it did not say.
type usage struct {
	prompt, completion, cached int

	carry []byte // the beginning of a usage object whose end has not come
}

// carryMost bounds a usage object in parts.
const carryMost = 1 << 10

func (m *meter) begin(now int64, stream bool) {
	*m = meter{stream: stream, first: now, last: now, newlines: 2}
}

var (
	doneMark   = []byte("[DONE]")
	finishMark = []byte(`"finish_reason":"`)
	usageMark  = []byte(`"usage"`)
	eventEnd   = []byte("\n\n")
)

// see takes the payload of the answer's last piece; it says whether there was
// any.
func (m *meter) see(a *answer) bool {
	some := false
	for _, p := range a.parts {
		if len(p) == 0 {
			continue
		}
		some = true
		if m.stream {
			m.count(p)
			m.finished = m.finished || bytes.Contains(p, doneMark) || finishes(p)
		}
		m.usage.see(p)
	}
	return some
}

// finishes finds a finish reason. BladeLLM writes an empty one until the end.
func finishes(p []byte) bool {
	i := bytes.Index(p, finishMark)
	return i >= 0 && i+len(finishMark) < len(p) && p[i+len(finishMark)] != '"'
}

// count counts blank lines, whichever way lines end.
func (m *meter) count(p []byte) {
	if m.newlines == 1 && p[0] == '\n' {
		m.events++
	}
	if bytes.IndexByte(p, '\r') < 0 {
		m.events += bytes.Count(p, eventEnd)
	} else {
		m.events += bytes.Count(p, []byte("\n\r\n")) + bytes.Count(p, eventEnd)
	}
	m.newlines = 0
	for i := len(p) - 1; i >= 0 && m.newlines < 2; i-- {
		if p[i] == '\n' {
			m.newlines++
		} else if p[i] != '\r' {
			break
		}
	}
}

// batch returns the events that the scheduler has not heard of, a handful at a
// time.
func (m *meter) batch() int {
	const handful = 16
	n := m.events - m.told
	if n < handful {
		return 0
	}
	m.told = m.events
	return n
}

// blankLine is what has to come before another event.
func (m *meter) blankLine() []byte {
	return append([]byte(nil), "\n\n"[:2-m.newlines]...)
}

// tokens is the output: as the engine counted, else one for each event.
func (m *meter) tokens() int {
	switch {
	case m.usage.completion > 0:
		return m.usage.completion
	case m.stream && m.finished && m.events > 1:
		return m.events - 1 // [DONE]
	}
	return m.events
}

// see looks for a usage object. One in every event is cumulative: the last
// counts.
func (u *usage) see(p []byte) {
	if len(u.carry) > 0 {
		u.carry = append(u.carry, p[:min(len(p), carryMost)]...)
		if u.read(u.carry) || len(u.carry) > carryMost {
			u.carry = u.carry[:0]
		}
	}
	for {
		i := bytes.Index(p, usageMark)
		if i < 0 {
			return
		}
		p = p[i:]
		if !u.read(p) {
			u.carry = append(u.carry[:0], p[:min(len(p), carryMost)]...)
		}
		p = p[len(usageMark):]
	}
}

// read takes the numbers of a usage object at the beginning of p. False: its
// end is not there yet.
func (u *usage) read(p []byte) bool {
	end := bytes.IndexByte(p, '}')
	if end < 0 {
		return bytes.HasPrefix(p, []byte(`"usage":null`))
	}
	// OpenAI puts details in objects of their own behind the counts; Anthropic
	// and /v1/responses say input and output.
	set(&u.prompt, p[:end], `"prompt_tokens":`, `"input_tokens":`)
	set(&u.completion, p, `"completion_tokens":`, `"output_tokens":`)
	set(&u.cached, p, `"cached_tokens":`, `"cache_read_input_tokens":`)
	return true
}

func set(to *int, p []byte, names ...string) {
	for _, name := range names {
		i := bytes.Index(p, []byte(name))
		if i < 0 {
			continue
		}
		n, some := 0, false
		for _, b := range bytes.TrimLeft(p[i+len(name):], " ") {
			if b < '0' || b > '9' || n > 1<<40 {
				break
			}
			n, some = n*10+int(b-'0'), true
		}
		if some {
			*to = n
			return
		}
	}
}
