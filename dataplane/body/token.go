package body

// The steps that every value shares. An index that they return can be len(b);
// who goes on from there says what the body ends in.

// space is the index of the first byte from i on that is not space.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// literal reads word, of which the first byte stands at i.
func literal(b []byte, i int, word string) (end int, err *Error) {
	for k := range len(word) {
		if i+k >= len(b) || b[i+k] != word[k] {
			return 0, unexpected(b, i+k, word, word)
		}
	}
	return i + len(word), nil
}

// name reads the key at i, up to the first byte of its value. b[i+1:end] is the
// inside of its quotes, and saved is as text has it.
func name(b []byte, i int) (end, saved, value int, err *Error) {
	if i >= len(b) || b[i] != '"' {
		return 0, 0, 0, unexpected(b, i, "a key in double quotes", "an object")
	}
	if end, saved, err = text(b, i+1); err != nil {
		return 0, 0, 0, err
	}
	if i = space(b, end+1); i >= len(b) || b[i] != ':' {
		return 0, 0, 0, unexpected(b, i, "':' after a key", "an object")
	}
	if value = space(b, i+1); value >= len(b) {
		return 0, 0, 0, truncated(b, "an object")
	}
	return end, saved, value, nil
}

// separator reads what follows a value that ends at i: a comma, and next is
// where the next key or value must stand, or what closes the array or object
// that inside names, and it is done.
func separator(b []byte, i int, closer byte, inside string) (next int, done bool, err *Error) {
	i = space(b, i)
	switch {
	case i < len(b) && b[i] == ',':
		return space(b, i+1), false, nil
	case i < len(b) && b[i] == closer:
		return i + 1, true, nil
	}
	return 0, false, unexpected(b, i, "',' or "+show(closer), inside)
}
