package http1

import "bytes"

// Response is the head of an engine's answer. The zero Response is ready, and
// one is used again and again, with Reset in between. What it holds is of the
// buffer given to the Parse that returned n > 0, and means nothing before.
type Response struct {
	Status int    // 100 to 599
	Reason []byte // may be empty
	message
	EventStream bool // text/event-stream that can be read as it is, not compressed
}

// Reset forgets everything, the buffer too.
func (r *Response) Reset() { *r = Response{message: r.fresh()} }

// Shed lets go of the buffer, and returns the headers' memory. What was read from
// them stays.
func (r *Response) Shed() []Header {
	r.Reason = nil
	return r.message.Shed()
}

// NoBody says that no body follows, whatever the headers say. The answer to a
// HEAD has none either: that only who asked can know.
func (r *Response) NoBody() bool { return r.Status < 200 || r.Status == 204 || r.Status == 304 }

// Parse reads the head at the beginning of b, as Request.Parse does. An error
// is an *Error with status 502: it is the engine that is at fault.
func (r *Response) Parse(b []byte) (n int, err error) {
	n, bad := r.parse(b)
	if bad != nil {
		r.Reset()
		bad.Status, bad.Code = 502, "instance_failed"
		return 0, bad
	}
	return n, nil
}

func (r *Response) parse(b []byte) (n int, err *Error) {
	const begins = "HTTP/1."
	// Something that is no HTTP may never end a line.
	for i := range min(len(b), len(begins)) {
		if b[i] != begins[i] {
			return 0, wrong(i, "an answer begins with HTTP/1.1, found %s", show(b[i]))
		}
	}
	n, err = r.scan.end(b, 0)
	if err != nil || n == 0 {
		return 0, err
	}
	r.Reset()
	next, err := r.line(b[:n])
	if err != nil {
		return 0, err
	}
	if err := r.fields(b[:n], next); err != nil {
		return 0, err
	}
	return n, r.judge(n)
}

// line reads the status line, "HTTP/1.1 200" and perhaps " OK"; next is where
// the next line begins.
func (r *Response) line(b []byte) (next int, err *Error) {
	end := text(b, 0)
	if b[end] != '\r' || b[end+1] != '\n' {
		return 0, wrong(end, "the status line holds %s", show(b[end]))
	}
	const v, s = len("HTTP/1.1"), len("HTTP/1.1 200")
	line := b[:end]
	if len(line) < s || line[v] != ' ' || len(line) > s && line[s] != ' ' {
		return 0, wrong(0, "the status line is %s, expected HTTP/1.1 200 OK", quote(line))
	}
	if r.Minor, err = version(line[:v], 0); err != nil {
		return 0, err
	}
	for _, c := range line[v+1 : s] {
		if !isDigit(c) {
			return 0, wrong(v+1, "the status is %s, expected three digits", quote(line[v+1:s]))
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 || r.Status > 599 {
		return 0, wrong(v+1, "the status is %d, expected 100 to 599", r.Status)
	}
	if len(line) > s {
		r.Reason = line[s+1:]
	}
	return end + 2, nil
}

// judge looks at what an answer must not say, and what its body is; at is the
// head's end.
func (r *Response) judge(at int) *Error {
	// 304 may describe the body that it does not have; these may not (RFC 9112, 6.1).
	if (r.Status < 200 || r.Status == 204) && (r.Chunked || r.ContentLength > 0) {
		return wrong(at, "an answer with status %d has no body, but these headers give it a length", r.Status)
	}
	kind, _, _ := bytes.Cut(r.Get(ContentType), []byte(";"))
	coding := r.Get(ContentEncoding)
	r.EventStream = foldIs(trim(kind), "text/event-stream") && (len(coding) == 0 || foldIs(coding, "identity"))
	return nil
}
