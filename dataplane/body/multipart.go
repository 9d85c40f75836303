package body

import (
	"bytes"
	"unicode/utf8"
)

// maxForm bounds how much of a multipart body is looked at, in bytes: what
// comes before the audio, not the audio.
const maxForm = 64 << 10

// MultipartModel is the value of the field "model" of a body of the given
// content type, part of body, if it ends within the body's first 64 KiB and is
// at most 512 bytes of UTF-8. It reads a form as strictly as the engines do
// (python-multipart) and says false of one that parsers read differently: a key
// that may use one model only must not reach another by a second field.
func MultipartModel(contentType, body []byte) (model []byte, ok bool) {
	boundary, ok := boundaryOf(contentType)
	if !ok {
		return nil, false
	}
	rest, ok := afterBoundary(body[:min(len(body), maxForm)], boundary)
	if !ok {
		return nil, false
	}
	found := false
	for bytes.HasPrefix(rest, []byte("\r\n")) {
		head, value, whole := bytes.Cut(rest, []byte("\r\n\r\n"))
		if !whole {
			return model, found
		}
		isModel, ok := isModelPart(head)
		if !ok {
			return nil, false
		}
		n := delimiter(value, boundary)
		if n < 0 {
			return model, found
		}
		if isModel {
			if found || n > maxModel || !utf8.Valid(value[:n]) {
				return nil, false
			}
			model, found = value[:n:n], true
		}
		rest, _ = afterBoundary(value[n+len("\r\n"):], boundary)
	}
	if !bytes.HasPrefix(rest, []byte("--")) { // the end of the form
		return nil, false
	}
	return model, found
}

// MultipartSeen says whether MultipartModel saw every field of the form: none
// begins beyond the first 64 KiB, where a second model could hide.
func MultipartSeen(contentType, body []byte) bool {
	boundary, ok := boundaryOf(contentType)
	if !ok || len(body) <= maxForm {
		return ok
	}
	for rest := body[maxForm-len("\r\n--")-len(boundary):]; ; {
		n := delimiter(rest, boundary)
		if n < 0 {
			return true
		}
		rest = rest[n+len("\r\n--")+len(boundary):]
		if !bytes.HasPrefix(rest, []byte("--")) {
			return false
		}
	}
}

// boundaryOf is the boundary of a multipart form's content type.
func boundaryOf(contentType []byte) ([]byte, bool) {
	kind, params, _ := bytes.Cut(contentType, []byte(";"))
	if !bytes.EqualFold(bytes.TrimSpace(kind), []byte("multipart/form-data")) {
		return nil, false
	}
	boundary, _, ok := param(params, "boundary")
	return boundary, ok && 1 <= len(boundary) && len(boundary) <= 70 // RFC 2046, 5.1.1
}

// afterBoundary is what follows the boundary line's dashes and boundary.
func afterBoundary(s, boundary []byte) ([]byte, bool) {
	if s, ok := bytes.CutPrefix(s, []byte("--")); ok {
		return bytes.CutPrefix(s, boundary)
	}
	return nil, false
}

// delimiter is where s has the first line's end that a boundary follows, -1 if
// nowhere. A value that begins with the boundary has one there for some.
func delimiter(s, boundary []byte) int {
	if _, ok := afterBoundary(s, boundary); ok {
		return -1
	}
	for from := 0; ; {
		n := bytes.Index(s[from:], []byte("\r\n--"))
		if n < 0 {
			return -1
		}
		n += from
		if bytes.HasPrefix(s[n+len("\r\n--"):], boundary) {
			return n
		}
		from = n + len("\r\n")
	}
}
