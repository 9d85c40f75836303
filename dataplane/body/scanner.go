package body

import "bytes"

// maxModel bounds a model's name, in bytes.
const maxModel = 512

// Scanner reads request bodies, one after the other. The zero Scanner is ready.
// It belongs to one goroutine at a time, and what it found (Fields.Model) can
// lie in it until its next Scan.
type Scanner struct {
	seen  keys // routing keys that stood in the body
	given keys // those of them whose value was not null
	// template is where an object stands as prompt, 0 if none does.
	template int
	prompt   tally // of Fields.Prompt
	nest     nest
	scratch  [maxModel]byte   // the model's name, where that has escapes
	word     [longestKey]byte // any other string that must be compared
}

// Scan reads b once and fills f. It fails with an *Error where b is not one
// JSON object (no deeper than MaxDepth, all of it UTF-8, no byte order mark),
// where a key that routing reads stands twice, since parsers differ in which one
// counts, and where the value of such a key has a type that no engine takes.
// f is then as for an empty object. Scan allocates nothing but errors.
func (s *Scanner) Scan(b []byte, f *Fields) error {
	s.seen, s.given, s.template, s.prompt = 0, 0, 0, tally{}
	*f = nothing
	if err := s.object(b, f); err != nil {
		*f = nothing
		return err
	}
	f.TextBytes, f.Tokens = f.TextBytes+s.prompt.text, f.Tokens+s.prompt.ids
	return nil
}

// object reads the whole body: one object with nothing but space around it.
func (s *Scanner) object(b []byte, f *Fields) *Error {
	i, err := opening(b)
	if err != nil {
		return err
	}
	if i = space(b, i+1); i < len(b) && b[i] == '}' {
		return closing(b, i+1)
	}
	for done := false; !done; {
		if i, err = s.member(b, i, f); err != nil {
			return err
		}
		if i, done, err = separator(b, i, '}', "an object"); err != nil {
			return err
		}
	}
	if s.template > 0 && !s.given.has(KeyInput) {
		return wrongType(b, s.template, KeyPrompt, promptTypes)
	}
	return closing(b, i)
}

// opening is the index of the brace that a body must begin with.
func opening(b []byte) (int, *Error) {
	if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
		return 0, &Error{Msg: "the body begins with a byte order mark; JSON is sent without one"}
	}
	i := space(b, 0)
	switch {
	case i == len(b):
		return 0, &Error{Offset: i, Msg: "the body is empty, expected a JSON object"}
	case b[i] != '{':
		return 0, &Error{Offset: i, Msg: "expected a JSON object, found " + kindOf(b[i])}
	}
	return i, nil
}

// closing checks that nothing but space comes after the object.
func closing(b []byte, i int) *Error {
	if i = space(b, i); i < len(b) {
		return &Error{Offset: i, Msg: "expected the end of the body after its JSON object, found " + show(b[i])}
	}
	return nil
}

// member reads one key of the top level and its value.
func (s *Scanner) member(b []byte, i int, f *Fields) (end int, err *Error) {
	nameEnd, saved, value, err := name(b, i)
	if err != nil {
		return 0, err
	}
	key := s.plainly(b[i+1:nameEnd], saved)
	k := keyOf(key)
	if k == KeyNone {
		return s.besides(b, value, besideOf(key), f)
	}
	if s.seen.has(k) {
		return 0, &Error{Offset: i, Param: k.String(), Msg: "the key stands twice; parsers differ in which one counts"}
	}
	s.seen.add(k)
	if b[value] == 'n' {
		return literal(b, value, "null")
	}
	s.given.add(k)
	return s.take(b, value, k, f)
}

// plainly is raw, the inside of a string, without its escapes: nothing where it
// has some and is longer than any key.
func (s *Scanner) plainly(raw []byte, saved int) []byte {
	if saved == 0 {
		return raw
	}
	unescaped, ok := unescape(s.word[:0], raw)
	if !ok {
		return nil
	}
	return unescaped
}
