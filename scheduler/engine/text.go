package engine

import (
	"bytes"
	"strconv"
	"strings"
)

const (
	// maxSeries bounds one needed series, name to value. vLLM's longest, its
	// cache configuration, is about 1 KB.
	maxSeries = 16 << 10
	// maxNumber bounds the text of one value: Python's and Go's longest float
	// has 24 bytes, and up to 32 the conversion needs no memory.
	maxNumber = 32
	// maxValue bounds one value: above it a float no longer counts by ones, and
	// below it no page's sums overflow.
	maxValue = 1 << 53
)

// textIndex finds the sources of a page of the Prometheus text format by the
// names of their metrics.
type textIndex struct {
	prefix  string    // of all the metrics: most lines of a foreign page end here
	after   [256]bool // bytes that come after it: most lines of the engine's own end here
	names   []string
	sources map[string][]source
}

func newTextIndex(sources []source) textIndex {
	x := textIndex{sources: make(map[string][]source)}
	for i, s := range sources {
		if x.sources[s.metric] == nil {
			x.names = append(x.names, s.metric)
		}
		x.sources[s.metric] = append(x.sources[s.metric], s)
		if i == 0 {
			x.prefix = s.metric
		}
		for !strings.HasPrefix(s.metric, x.prefix) {
			x.prefix = x.prefix[:len(x.prefix)-1]
		}
	}
	for _, name := range x.names {
		if rest := name[len(x.prefix):]; rest != "" {
			x.after[rest[0]] = true
		} else {
			x.after['{'], x.after[' '], x.after['\t'] = true, true, true
		}
	}
	return x
}

// read adds the samples on a page of the Prometheus text format 0.0.4 (and of
// OpenMetrics, as far as they agree) to t. It looks at nothing but the needed
// series, keeps no slice of the page and allocates nothing.
//
// A series that is malformed, longer than maxSeries, negative, NaN or infinite
// (or nearly) is passed over: its signal is then missing, which is seen, while
// a guess is not.
func (x *textIndex) read(page []byte, t *tally) {
	for len(page) > 0 {
		line := page
		if end := bytes.IndexByte(page, '\n'); end >= 0 {
			line, page = page[:end], page[end+1:]
		} else {
			page = nil
		}
		if name := x.metric(line); name != nil {
			if sources := x.sources[string(name)]; sources != nil && len(line) <= maxSeries {
				readSeries(line[len(name):], sources, t)
			}
		}
	}
}

// metric returns the name that line begins with, nil if it cannot be one of
// the index.
func (x *textIndex) metric(line []byte) []byte {
	if len(line) <= len(x.prefix) || string(line[:len(x.prefix)]) != x.prefix || !x.after[line[len(x.prefix)]] {
		return nil
	}
	for i := len(x.prefix); i < len(line); i++ {
		switch line[i] {
		case '{', ' ', '\t':
			return line[:i]
		}
	}
	return nil
}

// readSeries reads what follows a metric's name: labels in braces, if any, a
// value, and then a timestamp or an exemplar, which nobody needs here.
func readSeries(rest []byte, sources []source, t *tally) {
	rest = skipBlanks(rest)
	var labels []byte
	if len(rest) > 0 && rest[0] == '{' {
		end := labelsEnd(rest)
		if end < 0 {
			return
		}
		labels, rest = rest[1:end], skipBlanks(rest[end+1:])
	}
	value, ok := number(firstWord(rest))
	if !ok {
		return
	}
	for i := range sources {
		s := &sources[i]
		if !s.selects(labels) {
			continue
		}
		if s.label == "" {
			t.add(s, value)
		} else if v, ok := number(labelValue(labels, s.label)); ok {
			t.add(s, v)
		}
	}
}

// selects says whether a series with these labels is meant.
func (s *source) selects(labels []byte) bool {
	for _, want := range s.where {
		if string(labelValue(labels, want.name)) != want.value {
			return false
		}
	}
	return true
}

// labelsEnd returns the index of the brace that closes the one b begins with,
// -1 if there is none. A brace within quotes is text.
func labelsEnd(b []byte) int {
	quoted := false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++ // the escaped byte, a quote perhaps
		case c == '"':
			quoted = !quoted
		case c == '}' && !quoted:
			return i
		}
	}
	return -1
}

// labelValue returns the value of the label name, as it is written, nil if
// absent. Escapes are left: what is looked for here are numbers.
func labelValue(labels []byte, name string) []byte {
	for len(labels) > 0 {
		eq := bytes.IndexByte(labels, '=')
		if eq < 0 {
			return nil
		}
		key := bytes.Trim(labels[:eq], " \t,")
		value := skipBlanks(labels[eq+1:])
		if len(value) == 0 || value[0] != '"' {
			return nil
		}
		end := quoteEnd(value)
		if end < 0 {
			return nil
		}
		if string(key) == name {
			return value[1:end]
		}
		labels = value[end+1:]
	}
	return nil
}

// quoteEnd returns the index of the quote that closes the one b begins with,
// -1 if there is none.
func quoteEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// number converts text to a value within 0..maxValue.
func number(text []byte) (float64, bool) {
	if len(text) == 0 || len(text) > maxNumber {
		return 0, false
	}
	v, err := strconv.ParseFloat(string(text), 64)
	// Written so that NaN, which compares as false, is out of range too.
	return v, err == nil && v >= 0 && v <= maxValue
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

// firstWord returns b up to its first blank; a carriage return, which no
// exporter should send, counts as one.
func firstWord(b []byte) []byte {
	for i, c := range b {
		if c == ' ' || c == '\t' || c == '\r' {
			return b[:i]
		}
	}
	return b
}
