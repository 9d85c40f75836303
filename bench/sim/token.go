package sim

import (
	"strings"
	"unicode/utf8"
)

// A token is up to four bytes of text, ending between two characters; its id is
// those bytes, little-endian. So text and ids convert without a vocabulary, and
// what an engine has said is cut the same way when it comes back in a prompt.

// Tokens that are no text: no UTF-8 text has a byte 0xff.
const (
	tokenSpecial = 0xff000000 + iota
	tokenEndOfTurn
	tokenMedia // an image or sound, whatever its size
	tokenRole  // and the following: one for each role
)

var roles = []string{"system", "developer", "user", "assistant", "tool"}

// roleToken begins a message.
func roleToken(role string) uint32 {
	for n, r := range roles {
		if r == role {
			return tokenRole + uint32(n)
		}
	}
	return tokenRole + uint32(len(roles))
}

// eachToken cuts text.
func eachToken(text string, f func(uint32)) {
	for len(text) > 0 {
		n := tokenLen(text)
		var id uint32
		for k := range n {
			id |= uint32(text[k]) << (8 * k)
		}
		f(id)
		text = text[n:]
	}
}

// tokenLen is the length of text's first token.
func tokenLen(text string) int {
	if len(text) >= 4 && text[0]|text[1]|text[2]|text[3] < utf8.RuneSelf {
		return 4
	}
	_, n := utf8.DecodeRuneInString(text)
	for n < len(text) {
		_, more := utf8.DecodeRuneInString(text[n:])
		if n+more > 4 {
			break
		}
		n += more
	}
	return n
}

// tokenText is a token's text; none if it is special.
func tokenText(id uint32) string {
	if id >= tokenSpecial {
		return ""
	}
	b := []byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	return strings.ToValidUTF8(strings.TrimRight(string(b), "\x00"), "\uFFFD")
}

// words are what an engine says: each is one token of text, a space before it.
var words, wordTokens = vocabulary("the and for you can one day get has him his how man new now old see two way who " +
	"boy did its let put say she too use all any but dam mud out sun tap air arm ash bay bed big box " +
	"bus car cup cut dry eel end far fen few fit fog gap ice ink jar key lid log map")

func vocabulary(list string) (texts []string, ids []uint32) {
	for word := range strings.FieldsSeq(list) {
		texts = append(texts, " "+word)
		eachToken(" "+word, func(id uint32) { ids = append(ids, id) })
	}
	return texts, ids
}
