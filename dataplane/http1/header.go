package http1

// Header is one line of a head. Name is as it came, a token; Value is without
// the space around it, holds no control character but tabs, and may be empty.
type Header struct {
	Name, Value []byte
	Kind        Kind
	hop         bool
}

// HopByHop says that the header is for this hop and must not be forwarded: it
// is one of RFC 9110's list, or the message's Connection names it.
func (h *Header) HopByHop() bool { return h.hop }

// AppendHeader writes one line of a head.
func AppendHeader(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// read reads the header line at i of a whole head; next is where the next line
// begins.
func (h *Header) read(b []byte, i int) (next int, err *Error) {
	k := token(b, i)
	if k == i || b[k] != ':' {
		return 0, badName(b, i, k)
	}
	end := text(b, k+1)
	if b[end] != '\r' || b[end+1] != '\n' {
		return 0, wrong(end, "the header %s holds %s", quote(b[i:k]), show(b[end]))
	}
	h.Name, h.Value = b[i:k:k], trim(b[k+1:end:end])
	h.Kind = kindOf(h.Name)
	h.hop = hops.has(h.Kind)
	return end + 2, nil
}

// badName says why the line at i, a token up to k, is no header.
func badName(b []byte, i, k int) *Error {
	c, name := b[k], quote(b[i:k])
	switch {
	case k == i && (c == ' ' || c == '\t'):
		return wrong(k, "a line begins with %s; a header is one line, not folded", show(c))
	case k == i:
		return wrong(k, "a header's name begins with %s", show(c))
	case c == ' ' || c == '\t':
		return wrong(k, "found %s after %s, expected the colon right after the header's name", show(c), name)
	case c == '\r' && b[k+1] == '\n':
		return wrong(k, "the header %s has no colon", name)
	}
	return wrong(k, "a header's name that begins with %s holds %s", name, show(c))
}
