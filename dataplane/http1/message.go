package http1

import (
	"bytes"
	"math"
)

// Bounds of a head. How long it may be is the caller's to say.
const (
	maxHeaders = 128
	maxOptions = 16 // further headers that Connection names

	firstHeaders = 16 // room for a usual client's, made once for a connection
	keptHeaders  = 32 // a larger list is not kept
)

// message is what requests and answers have in common.
type message struct {
	Headers       []Header // in the order in which they came
	Minor         int      // 0 for HTTP/1.0, 1 for 1.1 and what promises to be readable as 1.1
	ContentLength int64    // -1: there is none
	Chunked       bool     // Transfer-Encoding is chunked; ContentLength is -1
	KeepAlive     bool     // the sender lets another message follow on the connection

	scan  scan
	kinds kindSet // that stand in Headers
}

// Get returns the value of the first header of kind k, nil if there is none.
func (m *message) Get(k Kind) []byte {
	if !m.kinds.has(k) {
		return nil
	}
	for i := range m.Headers {
		if h := &m.Headers[i]; h.Kind == k {
			return h.Value
		}
	}
	return nil
}

// fresh is an empty message that goes on with the memory of m, but with none of
// the buffer that m's headers lie in.
func (m *message) fresh() message {
	list := m.Headers[:0]
	clear(m.Headers)
	if cap(list) > keptHeaders {
		list = nil
	}
	return message{Headers: list, ContentLength: -1}
}

// Lend gives m memory for its headers, which Shed had given back.
func (m *message) Lend(list []Header) { m.Headers = list }

// Shed lets go of the headers and returns their memory; the rest of m stays.
func (m *message) Shed() []Header {
	list := m.fresh().Headers
	m.Headers, m.kinds = nil, 0
	return list
}

// fields reads the header lines of the whole head b from i on, and from them
// how the body is framed.
func (m *message) fields(b []byte, i int) *Error {
	if m.Headers == nil {
		m.Headers = make([]Header, 0, firstHeaders)
	}
	for i < len(b)-len("\r\n") {
		if len(m.Headers) == maxHeaders {
			err := wrong(i, "more than %d headers", maxHeaders)
			err.Status, err.Code = 431, "headers_too_large"
			return err
		}
		m.Headers = append(m.Headers, Header{})
		h := &m.Headers[len(m.Headers)-1]
		next, err := h.read(b, i)
		if err != nil {
			return err
		}
		if once.has(h.Kind) && m.kinds.has(h.Kind) {
			return wrong(i, "the header %s stands twice", quote(h.Name))
		}
		if err := m.frame(h, i); err != nil {
			return err
		}
		m.kinds |= 1 << h.Kind
		i = next
	}
	if m.Chunked && m.ContentLength >= 0 {
		return wrong(len(b), "both Content-Length and Transfer-Encoding; a body has one length")
	}
	return m.connection(len(b))
}

// frame takes from the header h, whose line begins at, what frames the body.
func (m *message) frame(h *Header, at int) *Error {
	switch h.Kind {
	case ContentLength:
		if m.ContentLength = length(h.Value); m.ContentLength < 0 {
			return wrong(at, "Content-Length is %s, expected one decimal number", quote(h.Value))
		}
	case TransferEncoding:
		if !foldIs(h.Value, "chunked") {
			return wrong(at, "Transfer-Encoding is %s, expected chunked and nothing else", quote(h.Value))
		}
		if m.Minor == 0 {
			return wrong(at, "Transfer-Encoding in HTTP/1.0, which has none")
		}
		m.Chunked = true
	}
	return nil
}

// length is the value of Content-Length, -1 if it is none.
func length(v []byte) (n int64) {
	if len(v) == 0 {
		return -1
	}
	for _, c := range v {
		if !isDigit(c) || n > (math.MaxInt64-9)/10 {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// connection reads what Connection says of the connection and of other headers.
func (m *message) connection(at int) *Error {
	m.KeepAlive = m.Minor > 0
	if !m.kinds.has(Connection) {
		return nil
	}
	closes, named := false, 0
	for i := range m.Headers {
		if m.Headers[i].Kind != Connection {
			continue
		}
		for rest := m.Headers[i].Value; len(rest) > 0; {
			var option []byte
			option, rest = nextOption(rest)
			switch {
			case len(option) == 0:
			case foldIs(option, "close"):
				closes = true
			case foldIs(option, "keep-alive"):
				m.KeepAlive = true
			case named == maxOptions:
				return wrong(at, "Connection names more than %d headers", maxOptions)
			default:
				named++
				m.hopByHop(option)
			}
		}
	}
	m.KeepAlive = m.KeepAlive && !closes
	return nil
}

// nextOption cuts the first element from a list.
func nextOption(list []byte) (option, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return trim(list[:i]), list[i+1:]
	}
	return trim(list), nil
}

// hopByHop marks the headers that Connection names.
func (m *message) hopByHop(name []byte) {
	for i := range m.Headers {
		h := &m.Headers[i]
		if len(h.Name) == len(name) && !ends.has(h.Kind) && bytes.EqualFold(h.Name, name) {
			h.hop = true
		}
	}
}
