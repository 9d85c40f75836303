package main

import (
	"bytes"
	"strconv"
)

var (
	crlf2       = []byte("\r\n\r\n")
	lastChunk   = []byte("0\r\n\r\n")
	nameLength  = []byte("content-length:")
	nameCoding  = []byte("transfer-encoding:")
	stampMarker = []byte(`"t":"`)
)

// stampLen is the length of an event's time stamp, hexadecimal nanoseconds.
const stampLen = 16

// head is what the load needs of a message's head.
type head struct {
	line    []byte
	length  int64 // Content-Length; -1 absent
	chunked bool
}

// parseHead reads the head at the start of p; n is its length with the blank
// line, 0 when it is not whole yet. The load speaks to proxies that are known,
// so it believes what they say.
func parseHead(p []byte) (h head, n int) {
	end := bytes.Index(p, crlf2)
	if end < 0 {
		return head{}, 0
	}
	h.length = -1
	lines := p[:end]
	h.line, lines, _ = bytes.Cut(lines, crlf2[:2])
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, crlf2[:2])
		if v, ok := value(line, nameLength); ok {
			h.length, _ = strconv.ParseInt(string(v), 10, 64)
		} else if v, ok := value(line, nameCoding); ok {
			h.chunked = bytes.EqualFold(v, []byte("chunked"))
		}
	}
	return h, end + len(crlf2)
}

func value(line, name []byte) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], name) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// stamps calls f for the time stamp of each event in p and returns how much of
// p's end must be seen again with what comes next, because a stamp may begin
// there.
func stamps(p []byte, f func(sent int64)) (keep int) {
	for {
		i := bytes.Index(p, stampMarker)
		if i < 0 {
			return min(len(p), len(stampMarker)-1)
		}
		if p = p[i:]; len(p) < len(stampMarker)+stampLen {
			return len(p)
		}
		p = p[len(stampMarker):]
		if sent, err := strconv.ParseInt(string(p[:stampLen]), 16, 64); err == nil {
			f(sent)
		}
		p = p[stampLen:]
	}
}
