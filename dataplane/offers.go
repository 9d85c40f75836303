package dataplane

import (
	"bytes"
	"slices"

	"penstock/dataplane/http1"
)

// deflate is the one extension that is agreed on, as the library does it: with the
// largest window, and nothing kept from one message to the next.
const deflate = "permessage-deflate"

// deflateParams may stand in its offer. A server_max_window_bits would have to be
// kept, and to stand in the answer, which the library writes.
var deflateParams = []string{clientWindow, "client_no_context_takeover", "server_no_context_takeover"}

// clientWindow says what the client can do with its own.
const clientWindow = "client_max_window_bits"

// offersDeflate says whether one of the client's offers can be had: they are
// alternatives, the best first (RFC 7692, 5.1 and 7.1).
func (q *request) offersDeflate() bool {
	for i := range q.head.Headers {
		if h := &q.head.Headers[i]; h.Kind == http1.SecWebSocketExtensions && listsDeflate(h.Value) {
			return true
		}
	}
	return false
}

func listsDeflate(list []byte) bool {
	for more := true; more; {
		var offer []byte
		if offer, list, more = cutUnquoted(list, ','); canDeflate(offer) {
			return true
		}
	}
	return false
}

// canDeflate says whether an offer is of deflate, and asks for nothing that cannot
// be had.
func canDeflate(offer []byte) bool {
	name, rest, more := cutUnquoted(offer, ';')
	if string(name) != deflate {
		return false
	}
	var seen [3]bool // of deflateParams
	for more {
		var param []byte
		param, rest, more = cutUnquoted(rest, ';')
		key, value, valued := bytes.Cut(param, []byte("="))
		n := slices.Index(deflateParams, string(bytes.TrimSpace(key)))
		if n < 0 || seen[n] {
			return false
		}
		seen[n] = true
		if valued && (deflateParams[n] != clientWindow || !isWindow(bytes.TrimSpace(value))) {
			return false
		}
	}
	return true
}

// isWindow says whether a value is 8 to 15, a token or within quotes.
func isWindow(value []byte) bool {
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return slices.Contains([]string{"8", "9", "10", "11", "12", "13", "14", "15"}, string(value))
}

// cutUnquoted cuts a list at its first separator that stands in no quotes.
func cutUnquoted(list []byte, sep byte) (first, rest []byte, more bool) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			return bytes.TrimSpace(list[:i]), list[i+1:], true
		}
	}
	return bytes.TrimSpace(list), nil, false
}
