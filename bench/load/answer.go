package load

import "bytes"

// answer is what the bytes of one answer said. It searches for the few keys
// that count and parses no JSON: a key's quotes are escaped where it stands
// inside of a string, so a search does not find it there.
type answer struct {
	done       bool // [DONE]
	failed     bool // an error event
	choices    bool // it is a completion at all
	prompt     int  // tokens, as the engine counted; 0: it did not say
	completion int
	cached     int // of the prompt; -1: it did not say

	keep bool   // collect what is said
	said []byte // as JSON escapes it
}

var (
	doneData   = []byte("[DONE]")
	errorKey   = []byte(`"error"`)
	choicesKey = []byte(`"choices"`)
	usageKey   = []byte(`"usage"`)

	// Keys whose string is output: of a chat, of a completion, of reasoning
	// (two names), of the arguments of a tool call.
	textKeys = [][]byte{[]byte(`"content"`), []byte(`"text"`), []byte(`"reasoning_content"`), []byte(`"reasoning"`), []byte(`"arguments"`)}
)

// event reads one event of a stream and says whether it carries output.
func (a *answer) event(data []byte) (token bool) {
	if bytes.Equal(data, doneData) {
		a.done = true
		return false
	}
	if isError(data) {
		a.failed = true
		return false
	}
	a.usage(data)
	for _, key := range textKeys {
		if v := valueOf(data, key); len(v) > 1 && v[0] == '"' && v[1] != '"' {
			if a.keep {
				a.said = appendString(a.said, v)
			}
			return true
		}
	}
	return false
}

// whole reads an answer that is no stream.
func (a *answer) whole(body []byte) {
	for _, key := range textKeys[:2] {
		if v := valueOf(body, key); a.keep && len(v) > 1 && v[0] == '"' {
			a.said = appendString(a.said, v)
			break
		}
	}
	a.failed = isError(body)
	a.choices = bytes.Contains(body, choicesKey)
	a.usage(body)
}

// isError finds an error object in the place of an answer. Engines that add an
// error of null to each event do not put it first.
func isError(data []byte) bool {
	inside, ok := bytes.CutPrefix(bytes.TrimSpace(data), []byte("{"))
	if !ok || !bytes.HasPrefix(bytes.TrimSpace(inside), errorKey) {
		return false
	}
	v := valueOf(inside, errorKey)
	return len(v) > 0 && v[0] != 'n'
}

// usage takes the engine's counts; where several events have them, the last
// counts.
func (a *answer) usage(data []byte) {
	v := valueOf(data, usageKey)
	if len(v) == 0 || v[0] != '{' {
		return
	}
	a.prompt = max(a.prompt, number(valueOf(v, []byte(`"prompt_tokens"`))))
	a.completion = max(a.completion, number(valueOf(v, []byte(`"completion_tokens"`))))
	if c := valueOf(v, []byte(`"cached_tokens"`)); len(c) > 0 && '0' <= c[0] && c[0] <= '9' {
		a.cached = max(a.cached, number(c))
	}
}

// maxSaid bounds what is kept of one answer.
const maxSaid = 1 << 20

// appendString appends what stands between v's first quote and the one that ends
// it, if it does. Escapes stay.
func appendString(dst, v []byte) []byte {
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			if len(dst)+i > maxSaid {
				return dst
			}
			return append(dst, v[1:i]...)
		}
	}
	return dst
}

// valueOf is what follows the first place of key, as a key, empty where there is
// none.
func valueOf(data, key []byte) []byte {
	i := bytes.Index(data, key)
	if i < 0 {
		return nil
	}
	v, ok := bytes.CutPrefix(bytes.TrimLeft(data[i+len(key):], " "), []byte(":"))
	if !ok {
		return nil
	}
	return bytes.TrimLeft(v, " ")
}

// number reads a count, 0 where there is none that could be meant.
func number(v []byte) int {
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			break
		}
		if n = n*10 + int(c-'0'); n > 1<<40 {
			return 0
		}
	}
	return n
}
