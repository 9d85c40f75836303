package body

// types is a set of types of JSON values.
type types uint8

const (
	aString types = 1 << iota
	aNumber
	anArray
	anObject
)

// typeOf is the type of the value that begins with c, none for other literals.
func typeOf(c byte) types {
	switch {
	case c == '-', isDigit(c):
		return aNumber
	case c == '"':
		return aString
	case c == '[':
		return anArray
	case c == '{':
		return anObject
	}
	return 0
}

// list reads the array at i, part of the value of prompt or input and inside
// depth open levels, whose elements may be of the types in allowed: in a prompt
// all of one type, and token ids in the arrays in it, so that it calls itself
// once at most.
func (s *Scanner) list(b []byte, i, depth int, k Key, allowed types, sum *tally) (end int, err *Error) {
	if i = space(b, i+1); i < len(b) && b[i] == ']' {
		return i + 1, nil
	}
	for done := false; !done; {
		if i >= len(b) {
			return 0, truncated(b, "an array")
		}
		t := typeOf(b[i])
		if t&allowed == 0 {
			return 0, wrongType(b, i, k, typesOf(k))
		}
		if k == KeyPrompt {
			allowed = t
		}
		if t == aNumber {
			if next, n := ids(b, i); n > 0 {
				sum.ids += n
				i = next
				continue
			}
		}
		if i, err = s.element(b, i, depth+1, k, t, sum); err != nil {
			return 0, err
		}
		if i, done, err = separator(b, i, ']', "an array"); err != nil {
			return 0, err
		}
	}
	return i, nil
}

// element reads the value at i, of type t and inside depth open levels.
func (s *Scanner) element(b []byte, i, depth int, k Key, t types, sum *tally) (end int, err *Error) {
	if t == aNumber {
		sum.ids++
		return id(b, i, k)
	}
	if t == anArray && k == KeyPrompt {
		return s.list(b, i, depth, k, aNumber, sum)
	}
	end, in, err := s.walk(b, i, depth)
	sum.text += in.text
	sum.media = sum.media || in.media
	if t == anArray {
		sum.ids += in.ids
	}
	return end, err
}

// ids skips token ids as they are mostly written, with a comma after each, up
// to the first one that is not.
func ids(b []byte, i int) (next, n int) {
	for {
		k := i
		for k < len(b) && isDigit(b[k]) {
			k++
		}
		if k == i || b[i] == '0' || k == len(b) || b[k] != ',' {
			return i, n
		}
		i = space(b, k+1)
		n++
	}
}

// id reads the token id at i.
func id(b []byte, i int, k Key) (end int, err *Error) {
	end, whole, err := number(b, i)
	if err == nil && !whole {
		if _, ok := integer(b[i:end]); !ok {
			return 0, notWhole(i, k)
		}
	}
	return end, err
}

func notWhole(i int, k Key) *Error {
	return &Error{Offset: i, Param: k.String(), Msg: "expected an integer, found a number with a fraction"}
}
