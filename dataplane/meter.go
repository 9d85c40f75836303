package dataplane

import (
	"bytes"

	"penstock/dataplane/http1"
)

// meter counts, as the bytes of an answer pass, what the account and the
// scheduler want to know. It reads no more than it must: events by their blank
// lines, the end and usage by their names.
type meter struct {
	stream   bool
	unframed bool  // nothing but a stream itself says that it is whole
	good     bool  // the engine does what it was asked
	text     bool  // its bytes are text, as far as they say
	bytes    int64 // of payload
	done     bool  // it said [DONE]
	finished bool  // it said that it is whole
	first    int64 // the first byte of the body, ns on the gateway's clock
	last     int64 // the last
	events   int
	silent   bool // nothing but comments has passed since the last
	role     bool // the first of them says no more than whose turn it is
	told     int  // events of which the scheduler knows
	newlines int  // that end what has passed: 2 between two events
	usage    usage
	parts    parts
	carry    []byte // the end of a line that is not over
}

// usage is what the engine says that it counted; 0: it did not say.
type usage struct {
	prompt, completion, cached int
	said                       bool // of the completion, that is
}

// mostTold bounds what many answers may add up to.
const mostTold = 1 << 48

// parts is the usage of one of several answers after the other, in one piece.
type parts struct {
	some         bool
	at           int64 // where the last begins
	before, last usage
}

func (u *usage) add(v usage) {
	u.prompt, u.completion, u.cached = min(u.prompt+v.prompt, mostTold), min(u.completion+v.completion, mostTold), min(u.cached+v.cached, mostTold)
	u.said = u.said || v.said
}

// carryMost bounds what is kept of a line, and so a usage object in parts.
const carryMost = 1 << 10

func (m *meter) begin(now int64, a *answer) {
	*m = meter{stream: a.head.EventStream, unframed: a.mode == framedClose, first: now, last: now, newlines: 2, silent: true, good: a.head.Status < 300, text: isText(a.head.Get(http1.ContentType))}
}

// see takes the payload of the answer's last piece; it says whether there was
// any.
func (m *meter) see(a *answer) bool {
	some := false
	for i, p := range a.parts {
		if len(p) == 0 {
			continue
		}
		some = true
		if m.stream {
			m.count(p)
			m.role = m.role || m.events <= 1 && saysRole(p)
		}
		m.read(p, a.done && i == len(a.parts)-1)
		m.bytes += int64(len(p))
	}
	return some
}

// isText tells speech and images from answers whose bytes are tokens.
func isText(contentType []byte) bool {
	for _, media := range []string{"audio/", "image/", "video/", "application/octet-stream"} {
		if len(contentType) >= len(media) && bytes.EqualFold(contentType[:len(media)], []byte(media)) {
			return false
		}
	}
	return true
}

// begun says whether anything of the answer has come that had to be computed.
func (m *meter) begun() bool { return !m.stream || m.events > 1 || m.events == 1 && !m.role }

// saysRole finds the event that some engines send before they compute anything.
func saysRole(p []byte) bool {
	return bytes.Contains(p, roleMark) && (bytes.Contains(p, []byte(`"content":""`)) || bytes.Contains(p, []byte(`"content":null`)) || !bytes.Contains(p, []byte(`"content"`)))
}

// count counts blank lines that end something, whichever way lines end.
func (m *meter) count(p []byte) {
	for len(p) > 0 {
		switch p[0] {
		case '\n':
			if m.newlines == 1 && !m.silent {
				m.events++
				m.silent = true
			}
			m.newlines = min(m.newlines+1, 2)
			p = p[1:]
		case '\r':
			p = p[1:]
		default:
			if m.newlines > 0 && p[0] != ':' { // a line that begins so is a comment
				m.silent = false
			}
			m.newlines = 0
			i := bytes.IndexByte(p, '\n')
			if i < 0 {
				return
			}
			p = p[i:]
		}
	}
}

// read looks for what has a name, in the seam to the piece before too: a line
// may be cut anywhere.
func (m *meter) read(p []byte, last bool) {
	if len(m.carry) == 0 {
		m.look(p, m.bytes)
	} else {
		at := m.bytes - int64(len(m.carry))
		m.carry = append(m.carry, p[:min(len(p), carryMost)]...)
		m.look(m.carry, at)
		if len(p) > carryMost {
			m.look(p, m.bytes)
		} else {
			p = m.carry
		}
	}
	p = p[max(0, len(p)-carryMost):]
	p = p[bytes.LastIndexByte(p, '\n')+1:]
	if len(p) == 0 || last {
		m.carry = m.carry[:0]
		return
	}
	m.carry = append(m.carry[:0], p...)
}

var (
	doneMark = []byte("[DONE]")
	// Without the quote that begins them, which every JSON is full of.
	usageMark  = []byte(`usage":`)
	metaMark   = []byte(`meta_info":`) // SGLang's
	finishMark = []byte(`finish_reason":`)
	roleMark   = []byte(`"role":`)
	// Anthropic's and the Responses API's streams end without [DONE].
	endMarks = [][]byte{[]byte(`"message_stop"`), []byte(`"response.completed"`), []byte(`"response.incomplete"`), []byte(`"response.failed"`)}
)

// look looks for it in p, which begins at that byte of the payload.
func (m *meter) look(p []byte, at int64) {
	if m.stream && !m.finished {
		m.done = m.done || isDone(p)
		m.finished = m.done || m.unframed && finishes(p)
	}
	for rest := after(p, usageMark); rest != nil; {
		rest = after(rest[m.usage.read(rest):], usageMark)
	}
	for rest := after(p, metaMark); rest != nil; rest = after(rest, metaMark) {
		m.part(rest, at+int64(len(p)-len(rest)))
	}
}

// after is what of p follows the key that mark ends; nil: it is not there.
func after(p, mark []byte) []byte {
	for {
		i := bytes.Index(p, mark)
		if i < 0 {
			return nil
		}
		key := i > 0 && p[i-1] == '"'
		if p = p[i+len(mark):]; key {
			return p
		}
	}
}

// part reads the usage of one of several answers, which begins p and stands at
// that byte of the payload: it may have been seen before, cut off. In a stream
// nothing is added up, for each event repeats what its answer has so far.
func (m *meter) part(p []byte, at int64) {
	s := &m.parts
	s.some = true
	if m.stream {
		m.usage.read(p)
		return
	}
	if at > s.at {
		*s = parts{some: true, at: at, before: m.usage}
	}
	if at == s.at {
		s.last.read(p)
		m.usage = s.before
		m.usage.add(s.last)
	}
}

// isDone finds the line [DONE], BladeLLM's without "data: " too.
func isDone(p []byte) bool {
	for {
		before, rest, found := bytes.Cut(p, doneMark)
		if !found {
			return false
		}
		line := before[bytes.LastIndexByte(before, '\n')+1:]
		starts := len(line) == 0 || string(bytes.TrimRight(line, " ")) == "data:"
		if starts && (len(rest) == 0 || rest[0] == '\n' || rest[0] == '\r') {
			return true
		}
		p = rest
	}
}

// finishes finds what else says that a stream is whole. Quotes in a model's text
// are escaped, so that it cannot say so itself.
func finishes(p []byte) bool {
	for _, mark := range endMarks {
		if bytes.Contains(p, mark) {
			return true
		}
	}
	for {
		_, rest, found := bytes.Cut(p, finishMark)
		if !found {
			return false
		}
		// null, or BladeLLM's empty string, until the end
		if v := bytes.TrimLeft(rest, " "); len(v) > 1 && v[0] == '"' && v[1] != '"' {
			return true
		}
		p = rest
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

// tokens is the output: as the engine counted, else one for each event. Of
// several answers in one stream it counts each apart, and the last is read.
func (m *meter) tokens() int {
	events := m.events
	if m.done && events > 1 {
		events-- // [DONE]
	}
	if told := m.usage.completion; told > 0 && !(m.parts.some && told < events) {
		return told
	}
	return events
}

// read takes the numbers of the usage object at the beginning of p, or of what
// there is of it, and returns its length. One in every event is cumulative: the
// last counts.
func (u *usage) read(p []byte) (n int) {
	// Anthropic and /v1/responses say input and output.
	p = object(p)
	set(&u.prompt, p, `"prompt_tokens":`, `"input_tokens":`)
	u.said = set(&u.completion, p, `"completion_tokens":`, `"output_tokens":`) || u.said
	set(&u.cached, p, `"cached_tokens":`, `"cache_read_input_tokens":`)
	return len(p)
}

// object is the JSON object at the beginning of p, as far as it is there.
func object(p []byte) []byte {
	p = bytes.TrimLeft(p[:min(len(p), carryMost)], " ")
	if len(p) == 0 || p[0] != '{' {
		return nil
	}
	depth := 0
	for i, b := range p {
		switch b {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return p[:i+1]
			}
		}
	}
	return p
}

// set takes the first of the names that has a number, and a byte after it.
func set(to *int, p []byte, names ...string) bool {
	for _, name := range names {
		i := bytes.Index(p, []byte(name))
		if i < 0 {
			continue
		}
		digits := bytes.TrimLeft(p[i+len(name):], " ")
		n := 0
		for k, b := range digits {
			if b < '0' || b > '9' || n > 1<<40 {
				if k > 0 {
					*to = n
				}
				return k > 0
			}
			n = n*10 + int(b-'0')
		}
	}
	return false
}
