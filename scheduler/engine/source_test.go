package engine

import (
	"slices"
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	f := func(name, metric, label string, where []label, path ...string) {
		t.Helper()
		s, err := parseSource(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		if s.metric != metric || s.label != label || !slices.Equal(s.where, where) || !slices.Equal(s.path, path) || s.scale != 1 {
			t.Errorf("%s: got %+v", name, s)
		}
	}
	f("my:running", "my:running", "", nil, "my:running")
	f("a.b.0.c", "a.b.0.c", "", nil, "a", "b", "0", "c")
	f("loads.*.x", "loads.*.x", "", nil, "loads", "*", "x")
	f("info[size]", "info", "size", nil, "info[size]")
	f(`m{a="b"}`, "m", "", []label{{"a", "b"}}, `m{a="b"}`)
	f(`m{a="1.5",c="}"}[d]`, "m", "d", []label{{"a", "1.5"}, {"c", "}"}}, `m{a="1.5",c="}"}[d]`)
	f(`m{a=""}`, "m", "", []label{{"a", ""}}, `m{a=""}`)

	bad := func(name, want string) {
		t.Helper()
		if _, err := parseSource(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, want)
		}
	}
	bad("", "no name of a metric")
	bad("a b", "no name of a metric")
	bad("a..b", "no name of a metric")
	bad(".a", "no name of a metric")
	bad("a\n", "no name of a metric")
	bad("#a", "no name of a metric")
	bad(`{a="b"}`, "no name of a metric")
	bad(`m{a=b}`, `{label="value"}`)
	bad(`m{a="b`, `want metric, metric{label="value"} or metric[label]`)
	bad(`m{}`, `{label="value"}`)
	bad(`m{a="b",}`, `{label="value"}`)
	bad(`m{a="b\"c"}`, `{label="value"}`)
	bad(`m[]`, "metric[label]")
	bad(`m[a`, "metric[label]")
	bad(`m[a]{b="c"}`, "metric[label]")
	bad(strings.Repeat("m", 257), "too long")
	bad(strings.Repeat("m.", 16)+"m", "too long")
}
