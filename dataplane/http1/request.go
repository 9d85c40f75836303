package http1

import "bytes"

// maxMethod bounds a method's name; the longest registered one has 17 bytes.
const maxMethod = 32

// Request is the head of a request. The zero Request is ready, and one is used
// again and again, with Reset in between. What it holds is of the buffer given
// to the Parse that returned n > 0, and means nothing before.
type Request struct {
	Method []byte // a token, as it came
	Path   []byte // "/…" as it came, never empty; "*" for OPTIONS
	Query  []byte // what follows the first '?', nil if nothing does
	message
	ExpectContinue bool // the client waits for 100 (Continue) before it sends the body
}

// Reset forgets everything, the buffer too.
func (r *Request) Reset() { *r = Request{message: r.fresh()} }

// Shed lets go of the buffer, which may be another's by now, and returns the
// headers' memory. The method stays.
func (r *Request) Shed() []Header {
	r.Path, r.Query = nil, nil
	return r.message.Shed()
}

// post is nearly every method: it is held in nobody's buffer, so that after Shed
// there is nothing that keeps one.
var post = []byte("POST")

// Is says whether the method is m, which is case-sensitive.
func (r *Request) Is(m string) bool { return string(r.Method) == m }

// Parse reads the head at the beginning of b. n is its length with the blank
// line that ends it; 0 without an error means that the end has not come: call
// again with the same bytes, wherever they lie by then, and more. Bytes seen in
// such a call are not looked at again until the head is whole. An error is an
// *Error.
func (r *Request) Parse(b []byte) (n int, err error) {
	n, bad := r.parse(b)
	if bad != nil {
		r.Reset()
		return 0, bad
	}
	return n, nil
}

func (r *Request) parse(b []byte) (n int, err *Error) {
	from, err := start(b)
	if err != nil || from == len(b) {
		return 0, err
	}
	n, err = r.scan.end(b, from)
	if err != nil || n == 0 {
		return 0, err
	}
	r.Reset()
	line := b[from : from+bytes.IndexByte(b[from:n], '\r')]
	if err := r.line(line, from); err != nil {
		return 0, err
	}
	next := from + len(line)
	if b[next+1] != '\n' {
		return 0, wrong(next, "the request line holds %s", show('\r'))
	}
	if err := r.fields(b[:n], next+2); err != nil {
		return 0, err
	}
	return n, r.judge(n)
}

// start is where the request line begins: after one empty line at most, which
// careless clients send behind a body (RFC 9112, 2.2). It is len(b) while that
// is not known.
func start(b []byte) (from int, err *Error) {
	if len(b) > 0 && b[0] == '\r' {
		switch {
		case len(b) == 1:
			return 1, nil
		case b[1] != '\n':
			return 0, wrong(0, "found %s", show('\r'))
		}
		from = 2
	}
	if from == len(b) || isToken[b[from]] {
		return from, nil
	}
	switch c := b[from]; {
	case c == 0x16:
		return 0, wrong(from, "this looks like TLS; this port speaks plain HTTP/1.1")
	case c == '\r' && from > 0:
		return 0, wrong(from, "more than one empty line before the request")
	default:
		return 0, wrong(from, "a request begins with its method, found %s", show(c))
	}
}

// line reads the request line, which begins at.
func (r *Request) line(line []byte, at int) *Error {
	k := token(line, 0)
	if k == len(line) || line[k] != ' ' || k > maxMethod {
		return wrong(at, "%s begins with no method that is a word of at most %d characters and a space", quote(line), maxMethod)
	}
	last := bytes.LastIndexByte(line, ' ')
	if last == k {
		return wrong(at+k, "expected METHOD TARGET HTTP/1.1, found one space in %s", quote(line))
	}
	minor, err := version(line[last+1:], at+last+1)
	if err != nil {
		return err
	}
	if r.Method, r.Minor = line[:k:k], minor; r.Is("POST") {
		r.Method = post
	}
	return r.target(line[k+1:last:last], at+k+1)
}

// version reads "HTTP/1.x" at byte at of a head.
func version(v []byte, at int) (minor int, err *Error) {
	const name = "HTTP/"
	switch digits, ok := bytes.CutPrefix(v, []byte(name)); {
	case !ok || len(digits) == 0 || !isDigit(digits[0]):
	case len(digits) == 3 && digits[1] == '.' && isDigit(digits[2]) && digits[0] == '1':
		return int(min(digits[2]-'0', 1)), nil
	case len(digits) == 1, len(digits) == 3 && digits[1] == '.' && isDigit(digits[2]):
		err = wrong(at, "%s is not spoken here, HTTP/1.1 is", quote(v))
		err.Status = 505
		return 0, err
	}
	return 0, wrong(at, "expected HTTP/1.1, found %s", quote(v))
}

// target splits the request's target, which begins at.
func (r *Request) target(t []byte, at int) *Error {
	for i, c := range t {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return wrong(at+i, "the target holds %s", show(c))
		}
	}
	switch {
	case len(t) > 0 && t[0] == '/':
	case len(t) == 1 && t[0] == '*' && r.Is("OPTIONS"):
	default:
		var ok bool
		if t, ok = origin(t); !ok {
			return wrong(at, "the target is %s, expected /path or http://host/path", quote(t))
		}
	}
	r.Path = t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Path, r.Query = t[:i:i], t[i+1:]
	}
	if len(r.Path) == 0 {
		r.Path = root
	}
	return nil
}

// root is the path of a URL that has none.
var root = []byte("/")

// origin is what follows the host in an absolute target (RFC 9112, 3.2.2). Its
// host counts for more than the header, but all hosts are one here.
func origin(t []byte) (rest []byte, ok bool) {
	i := bytes.IndexByte(t, ':')
	if i < 0 || !foldIs(t[:i], "http") && !foldIs(t[:i], "https") || !bytes.HasPrefix(t[i:], []byte("://")) {
		return t, false
	}
	rest = t[i+len("://"):]
	end := bytes.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	if end == 0 || !isHost(rest[:end]) {
		return t, false
	}
	return rest[end:], true
}

// isHost says whether h can be a host with or without a port. An empty one can.
func isHost(h []byte) bool {
	for _, c := range h {
		switch c {
		case ' ', '\t', '"', '#', ',', '/', '<', '>', '?', '@', '\\':
			return false
		}
	}
	return true
}

// judge looks at what a request must and must not say; at is the head's end.
func (r *Request) judge(at int) *Error {
	if !r.kinds.has(Host) && r.Minor > 0 {
		return wrong(at, "no Host, which HTTP/1.1 demands")
	}
	if host := r.Get(Host); !isHost(host) {
		return wrong(at, "Host is %s, expected one host", quote(host))
	}
	if v := r.Get(Expect); v != nil && r.Minor > 0 {
		if !foldIs(v, "100-continue") {
			err := wrong(at, "Expect is %s; only 100-continue can be met", quote(v))
			err.Status = 417
			return err
		}
		r.ExpectContinue = true
	}
	return nil
}
