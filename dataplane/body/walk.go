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
	media bool // as Fields.Media has it
}

// walk reads the value at i, inside depth open levels, whatever it is.
func (s *Scanner) walk(b []byte, i, depth int) (end int, sum tally, err *Error) {
	base := depth
	data := false // the value at i is that of a key "data"
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
			data = false
			if c == '{' {
				if i, data, err = field(b, i, &sum); err != nil {
					return 0, sum, err
				}
			}
			continue
		case '"':
			var n int
			if i, n, err = words(b, i); err != nil {
				return 0, sum, err
			}
			if !data {
				sum.text += n
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
		data = false
		if s.nest.object(depth) {
			if i, data, err = field(b, i, &sum); err != nil {
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

// field reads the key at i, below the top level, up to its value. data is true
// when that is a piece of audio or an image itself, if it is a string.
func field(b []byte, i int, sum *tally) (value int, data bool, err *Error) {
	end, _, value, err := name(b, i)
	if err != nil {
		return 0, false, err
	}
	switch string(b[i+1 : end]) {
	case "data":
		sum.media, data = true, true
	case "image_url", "input_audio", "audio_url", "video_url", "file_id", "file_url":
		sum.media = true
	}
	return value, data, nil
}

// words reads the string at i and counts its text, none in a data: URL.
func words(b []byte, i int) (end, n int, err *Error) {
	end, saved, err := text(b, i+1)
	if err != nil {
		return 0, 0, err
	}
	if inside := b[i+1 : end]; !isDataURL(inside) {
		n = len(inside) - saved
	}
	return end + 1, n, nil
}

// isDataURL is true for media in base64, the only data: URLs that engines take.
// Without looking for that word, a prompt that quotes a log's "data: …" would
// count as nothing.
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
