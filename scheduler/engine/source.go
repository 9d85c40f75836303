package engine

import (
	"fmt"
	"slices"
	"strings"
)

// source says where a field is read, on a page of either format. It is written
//
//	metric                   the value of a series
//	metric{label="value"}    … of those series only
//	metric[label]            a label of an info series, whose own value is 1
//	a.b.0.c  a.*.c           a place in a JSON document, * being every item or member
//
// The first three are for the Prometheus text format, the last for JSON.
type source struct {
	name  string // as written
	n     uint8  // which of its page's sources
	own   bool   // the operator mapped it
	to    field
	age   uint8 // 0: the newest name of the field
	scale float64

	metric string
	where  []label
	label  string // "": the sample's value
	path   []string
}

type label struct{ name, value string }

// maxSourceName bounds what is written for one source, maxPath its JSON steps.
const (
	maxSourceName = 256
	maxPath       = 16
)

// from is a row's source under its present name, older under the one before.
func from(name string, to field) source { return mustSource(name, to, 0) }

func older(name string, to field) source { return mustSource(name, to, 1) }

// mustSource is for the table alone, whose names are ours.
func mustSource(name string, to field, age uint8) source {
	s, err := parseSource(name)
	if err != nil {
		panic(err)
	}
	s.to, s.age = to, age
	return s
}

func parseSource(name string) (source, error) {
	s := source{name: name, scale: 1, metric: name, path: []string{name}}
	rest := ""
	if i := strings.IndexAny(name, "{["); i >= 0 {
		s.metric, rest = name[:i], name[i:]
	} else {
		s.path = strings.Split(name, ".")
	}
	if len(name) > maxSourceName || len(s.path) > maxPath {
		return s, fmt.Errorf("%.40q… is too long for a metric or a path: %d bytes and %d steps at most", name, maxSourceName, maxPath)
	}
	if !isSeriesName(s.metric) || slices.Contains(s.path, "") {
		return s, fmt.Errorf("%q is no name of a metric and no path such as a.b.0.c", name)
	}
	if inner, after, ok := cutBraces(rest, '{', '}'); ok {
		if s.where = parseLabels(inner); s.where == nil {
			return s, fmt.Errorf(`%q: want {label="value"} after the metric`, name)
		}
		rest = after
	}
	if inner, after, ok := cutBraces(rest, '[', ']'); ok && isSeriesName(inner) {
		s.label, rest = inner, after
	}
	if rest != "" {
		return s, fmt.Errorf(`%q: want metric, metric{label="value"} or metric[label]`, name)
	}
	return s, nil
}

// cutBraces splits s, if it begins with open, behind the last close.
func cutBraces(s string, open, close byte) (inner, after string, ok bool) {
	end := strings.LastIndexByte(s, close)
	if s == "" || s[0] != open || end < 0 {
		return "", s, false
	}
	return s[1:end], s[end+1:], true
}

// parseLabels reads a="b",c="d"; nil if it is something else.
func parseLabels(s string) []label {
	var labels []label
	for {
		name, rest, ok := strings.Cut(s, `="`)
		value, rest, closed := strings.Cut(rest, `"`)
		if !ok || !closed || !isSeriesName(name) || strings.ContainsRune(value, '\\') {
			return nil
		}
		labels = append(labels, label{name, value})
		if rest == "" {
			return labels
		}
		if s, ok = strings.CutPrefix(rest, ","); !ok {
			return nil
		}
	}
}

// isSeriesName says whether s can stand before the braces of a series, or in a
// JSON path: the rest is punctuation of one or the other.
func isSeriesName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`"{}[]#,=\`, r)
	})
}
