package engine

import (
	"bytes"
	"fmt"
	"strconv"
)

const (
	// maxDepth bounds the nesting of a document: load reports have three levels.
	maxDepth = 32
	// maxJSONSources is how many sources one document can have: they are a set
	// of bits.
	maxJSONSources = 64
	// maxVersion bounds the text of a version.
	maxVersion = 64
)

// isJSON says whether page cannot be of the Prometheus text format.
func isJSON(page []byte) bool {
	page = bytes.TrimLeft(page, " \t\r\n")
	return len(page) > 0 && (page[0] == '{' || page[0] == '[')
}

// readJSON adds what the sources' paths lead to in doc to t, and writes the
// engine's version, where a source asks for it, to text. Numbers count, true
// counts as 1 and false as 0, and what is neither, negative or too large is
// passed over.
//
// It walks the document once, keeps no slice of it and allocates nothing. A
// document that is not well-formed, or nested more than maxDepth, is
// ErrProtocol, and what was added to t is then worth nothing.
func readJSON(doc []byte, sources []source, t *tally, text *string) error {
	if len(sources) > maxJSONSources {
		sources = sources[:maxJSONSources]
	}
	w := walk{doc: doc, sources: sources, tally: t, text: text}
	if !w.value(0, 1<<len(sources)-1) || w.skipSpace() {
		return fmt.Errorf("%w: broken JSON, or nested too deep, at byte %d of %d", ErrProtocol, w.at, len(doc))
	}
	return nil
}

// walk is a place in a document. Its methods return false where the document
// is broken.
type walk struct {
	doc     []byte
	at      int
	sources []source
	tally   *tally
	text    *string
}

// value walks over one value, which lies depth steps down; set are the sources
// whose paths lead here.
func (w *walk) value(depth int, set uint64) bool {
	if !w.skipSpace() || depth > maxDepth {
		return false
	}
	switch c := w.doc[w.at]; {
	case c == '{':
		return w.object(depth, set)
	case c == '[':
		return w.array(depth, set)
	case c == '"':
		s, ok := w.string()
		w.say(s, depth, set)
		return ok
	case c == 't':
		return w.literal("true", 1, depth, set)
	case c == 'f':
		return w.literal("false", 0, depth, set)
	case c == 'n':
		return w.literal("null", -1, depth, set)
	}
	return w.number(depth, set)
}

func (w *walk) object(depth int, set uint64) bool {
	w.at++
	if w.next('}') {
		return true
	}
	for {
		if !w.skipSpace() || w.doc[w.at] != '"' {
			return false
		}
		key, ok := w.string()
		if !ok || !w.next(':') || !w.value(depth+1, w.through(key, depth, set)) {
			return false
		}
		if w.next('}') {
			return true
		}
		if !w.next(',') {
			return false
		}
	}
}

func (w *walk) array(depth int, set uint64) bool {
	w.at++
	if w.next(']') {
		return true
	}
	var digits [8]byte
	for n := 0; ; n++ {
		index := digits[:0]
		if n < 1e7 {
			index = strconv.AppendInt(index, int64(n), 10)
		}
		if !w.value(depth+1, w.through(index, depth, set)) {
			return false
		}
		if w.next(']') {
			return true
		}
		if !w.next(',') {
			return false
		}
	}
}

// through are those of set whose next step is key, or any.
func (w *walk) through(key []byte, depth int, set uint64) (found uint64) {
	if set == 0 {
		return 0
	}
	for i := range w.sources {
		if path := w.sources[i].path; set>>i&1 == 1 && depth < len(path) && (path[depth] == "*" || path[depth] == string(key)) {
			found |= 1 << i
		}
	}
	return found
}

// count adds v for the sources of set whose paths end here.
func (w *walk) count(v float64, depth int, set uint64) {
	if set == 0 || !(v >= 0 && v <= maxValue) {
		return
	}
	for i := range w.sources {
		if s := &w.sources[i]; set>>i&1 == 1 && len(s.path) == depth && s.to < numFields {
			w.tally.add(s, v)
		}
	}
}

// say takes the text of a version.
func (w *walk) say(s []byte, depth int, set uint64) {
	if w.text == nil || set == 0 || len(s) == 0 || len(s) > maxVersion || bytes.ContainsFunc(s, notInVersion) {
		return
	}
	for i := range w.sources {
		if set>>i&1 == 1 && len(w.sources[i].path) == depth && w.sources[i].to == version {
			*w.text = string(s)
		}
	}
}

func notInVersion(r rune) bool { return r < ' ' || r > '~' || r == '\\' }

func (w *walk) literal(word string, v float64, depth int, set uint64) bool {
	end := w.at + len(word)
	if end > len(w.doc) || string(w.doc[w.at:end]) != word {
		return false
	}
	w.at = end
	w.count(v, depth, set)
	return true
}

// number takes what a JSON number may consist of; whether it is one is only
// looked at where it is needed.
func (w *walk) number(depth int, set uint64) bool {
	begin := w.at
	for w.at < len(w.doc) && isNumeral(w.doc[w.at]) {
		w.at++
	}
	text := w.doc[begin:w.at]
	if len(text) == 0 {
		return false
	}
	if set != 0 {
		if v, ok := number(text); ok {
			w.count(v, depth, set)
		}
	}
	return true
}

func isNumeral(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// string returns what stands between the quotes. Escapes are left: the keys
// that are looked for have none.
func (w *walk) string() ([]byte, bool) {
	end := quoteEnd(w.doc[w.at:])
	if end < 0 {
		return nil, false
	}
	s := w.doc[w.at+1 : w.at+end]
	w.at += end + 1
	return s, true
}

// next steps over c, if that comes next.
func (w *walk) next(c byte) bool {
	if !w.skipSpace() || w.doc[w.at] != c {
		return false
	}
	w.at++
	return true
}

// skipSpace reports whether anything is left.
func (w *walk) skipSpace() bool {
	for ; w.at < len(w.doc); w.at++ {
		switch w.doc[w.at] {
		case ' ', '\t', '\r', '\n':
		default:
			return true
		}
	}
	return false
}
