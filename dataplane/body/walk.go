package body

import (
	"bytes"
	"fmt"
)

// MaxDepth is how deep arrays and objects may be nested, the body's own object
// included. Python's json gives up before 1000; real tools' schemas need a few
// dozen.
const MaxDepth = 512

// nest remembers of every open level whether it is an object, in a bit each, so
// that hostile nesting costs no stack.
type nest [MaxDepth / 64]uint64

func (n *nest) open(depth int, object bool) {
	word, bit := &n[(depth-1)/64], uint64(1)<<((depth-1)%64)
	*word &^= bit
	if object {
		*word |= bit
	}
}

func (n *nest) object(depth int) bool {
	return n[(depth-1)/64]>>((depth-1)%64)&1 == 1
}

// tally is what a value holds.
type tally struct {
	text  int  // bytes, as Fields.TextBytes counts them
	ids   int  // integers, written as such
	saved int  // bytes that strings shrink by when they are unescaped
	away  int  // bytes of strings that are media, and no text
	media bool // as Fields.Media has it
}

// weight compares two of them, in bytes of text.
func (t *tally) weight() int { return t.text + 4*t.ids }

// walk reads the value at i, inside depth open levels, whatever it is.
func (s *Scanner) walk(b []byte, i, depth int) (end int, sum tally, err *Error) {
	base := depth
	under := plainField // what the value at i is the value of
	for {
		if i >= len(b) { // only after '[' or ',': name has looked ahead
			return 0, sum, truncated(b, "an array")
		}
		switch c := b[i]; c {
		case '{', '[':
			if depth == MaxDepth {
				return 0, sum, tooDeep(i)
			}
			depth++
			s.nest.open(depth, c == '{')
			i = space(b, i+1)
			if i < len(b) && b[i] == c+2 { // in ASCII, two after what opens is what closes
				i++
				depth--
				break
			}
			under = plainField
			if c == '{' {
				if i, under, err = field(b, i, &sum); err != nil {
					return 0, sum, err
				}
			}
			continue
		case '"':
			if i, err = words(b, i, under, &sum); err != nil {
				return 0, sum, err
			}
		default:
			var whole bool
			if i, whole, err = scalar(b, i); err != nil {
				return 0, sum, err
			}
			if whole {
				sum.ids++
			}
		}
		if i, depth, err = s.close(b, i, base, depth); err != nil || depth == base {
			return i, sum, err
		}
		under = plainField
		if s.nest.object(depth) {
			if i, under, err = field(b, i, &sum); err != nil {
				return 0, sum, err
			}
		}
	}
}

// close reads what follows a value that ends at i: all the levels that end
// there, down to base, else a comma.
func (s *Scanner) close(b []byte, i, base, depth int) (next, left int, err *Error) {
	for depth > base {
		closer, inside := byte(']'), "an array"
		if s.nest.object(depth) {
			closer, inside = '}', "an object"
		}
		var done bool
		if i, done, err = separator(b, i, closer, inside); err != nil {
			return 0, depth, err
		}
		if !done {
			break
		}
		depth--
	}
	return i, depth, nil
}

// fieldKind is what a string is, by its key.
type fieldKind uint8

const (
	plainField fieldKind = iota
	urlField             // it may be media, as a data: URL
	dataField            // it is a piece of audio or an image itself
)

// field reads the key at i, below the top level, up to its value.
func field(b []byte, i int, sum *tally) (value int, kind fieldKind, err *Error) {
	end, _, value, err := name(b, i)
	if err != nil {
		return 0, plainField, err
	}
	switch string(b[i+1 : end]) {
	case "data":
		sum.media, kind = true, dataField
	case "image_url", "input_audio", "audio_url", "video_url", "file_id", "file_url":
		sum.media, kind = true, urlField
	case "url", "image", "file_data":
		kind = urlField
	}
	return value, kind, nil
}

// words reads the string at i and counts its text.
func words(b []byte, i int, kind fieldKind, sum *tally) (end int, err *Error) {
	end, saved, err := text(b, i+1)
	if err != nil {
		return 0, err
	}
	sum.saved += saved
	if inside := b[i+1 : end]; kind == plainField || kind == urlField && !isDataURL(inside) {
		sum.text += len(inside) - saved
	} else {
		sum.away += len(inside) - saved
	}
	return end + 1, nil
}

// isDataURL is true for media in base64, the only data: URLs that engines take.
func isDataURL(s []byte) bool {
	const longestType = 128
	return len(s) > len("data:") && string(s[:len("data:")]) == "data:" &&
		bytes.Contains(s[:min(len(s), longestType)], []byte(";base64,"))
}

// scalar reads the literal or number at i; whole as number has it.
func scalar(b []byte, i int) (end int, whole bool, err *Error) {
	switch c := b[i]; {
	case c == '-' || isDigit(c):
		return number(b, i)
	case c == 't':
		end, err = literal(b, i, "true")
	case c == 'f':
		end, err = literal(b, i, "false")
	case c == 'n':
		end, err = literal(b, i, "null")
	default:
		err = unexpected(b, i, "a value", "")
	}
	return end, false, err
}

func tooDeep(i int) *Error {
	return &Error{Offset: i, Msg: fmt.Sprintf("arrays and objects are nested more than %d deep", MaxDepth)}
}
