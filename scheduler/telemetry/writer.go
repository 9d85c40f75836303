package telemetry

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Collector is a component that has metrics.
type Collector interface {
	// Collect writes the component's families, each whole and once.
	Collect(w *Writer)
}

// Writer builds one page in the Prometheus text format, version 0.0.4. The
// zero value is ready; a Writer that is Reset keeps its memory. Not for
// concurrent use.
type Writer struct{ buf []byte }

// Family begins a family: kind is counter, gauge or histogram. The samples of
// it follow at once, as the format wants them together.
func (w *Writer) Family(name, kind, help string) {
	w.buf = append(w.buf, "# HELP "...)
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ' ')
	w.buf = appendEscaped(w.buf, help, false)
	w.buf = append(w.buf, "\n# TYPE "...)
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, ' ')
	w.buf = append(w.buf, kind...)
	w.buf = append(w.buf, '\n')
}

// Sample writes one series. labels alternate names and values; the values may
// be foreign bytes.
func (w *Writer) Sample(name string, v float64, labels ...string) {
	w.series(name, "", labels, "")
	w.buf = strconv.AppendFloat(w.buf, v, 'g', -1, 64)
	w.buf = append(w.buf, '\n')
}

// Int is Sample for a whole number.
func (w *Writer) Int(name string, v int64, labels ...string) {
	w.series(name, "", labels, "")
	w.buf = strconv.AppendInt(w.buf, v, 10)
	w.buf = append(w.buf, '\n')
}

// Histogram writes the series of h: one _bucket for each bound and +Inf, _sum
// in seconds and _count.
func (w *Writer) Histogram(name string, h *Histogram, labels ...string) {
	counts, sum := h.read()
	var below uint64
	for i, n := range counts {
		below += n
		w.series(name, "_bucket", labels, h.les[i])
		w.buf = strconv.AppendUint(w.buf, below, 10)
		w.buf = append(w.buf, '\n')
	}
	w.series(name, "_sum", labels, "")
	w.buf = strconv.AppendFloat(w.buf, sum, 'g', -1, 64)
	w.buf = append(w.buf, '\n')
	w.series(name, "_count", labels, "")
	w.buf = strconv.AppendUint(w.buf, below, 10)
	w.buf = append(w.buf, '\n')
}

// Bytes is the page so far, valid until the next call.
func (w *Writer) Bytes() []byte { return w.buf }

// Reset begins a new page in the same memory.
func (w *Writer) Reset() { w.buf = w.buf[:0] }

// series writes `name{labels,le="…"} `; le may be empty.
func (w *Writer) series(name, suffix string, labels []string, le string) {
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, suffix...)
	open := byte('{')
	for i := 0; i < len(labels); i += 2 {
		w.label(open, labels[i], labels[i+1])
		open = ','
	}
	if le != "" {
		w.label(open, "le", le)
		open = ','
	}
	if open == ',' {
		w.buf = append(w.buf, '}')
	}
	w.buf = append(w.buf, ' ')
}

func (w *Writer) label(before byte, name, value string) {
	w.buf = append(w.buf, before)
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, '=', '"')
	w.buf = appendEscaped(w.buf, value, true)
	w.buf = append(w.buf, '"')
}

// appendEscaped appends s as the format wants it: backslash and line feed are
// escaped, in a label's value the quote too. What is not UTF-8 would make a
// scraper refuse the whole page, so it becomes U+FFFD.
func appendEscaped(dst []byte, s string, quoted bool) []byte {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			dst = append(dst, '\\', '\\')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '"' && quoted:
			dst = append(dst, '\\', '"')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
