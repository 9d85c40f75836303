package engine

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// at is the sum of what lies at path in doc, and whether anything does.
func at(t *testing.T, doc, path string) (float64, bool) {
	t.Helper()
	s, err := parseSource(path)
	if err != nil {
		t.Fatal(err)
	}
	var got tally
	if err := readJSON([]byte(doc), []source{s}, &got, nil); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	return got.cells[running].value, got.cells[running].set
}

func TestReadJSON(t *testing.T) {
	f := func(doc, path string, want float64) {
		t.Helper()
		if got, has := at(t, doc, path); !has || got != want {
			t.Errorf("%s of %s: got %v (%v), want %v", path, doc, got, has, want)
		}
	}
	none := func(doc, path string) {
		t.Helper()
		if got, has := at(t, doc, path); has {
			t.Errorf("%s of %s: got %v, want nothing", path, doc, got)
		}
	}
	f(`{"a":3}`, "a", 3)
	f(" \t\r\n{ \"a\" : 3.5e1 , \"b\" : 4 }\n", "a", 35)
	f(`{"a":{"b":[{"c":1},{"c":2}]}}`, "a.b.0.c", 1)
	f(`{"a":{"b":[{"c":1},{"c":2}]}}`, "a.b.1.c", 2)
	f(`{"loads":[{"x":1},{"x":2},{"y":9}]}`, "loads.*.x", 3)
	f(`{"r":{"rank0":{"x":1},"rank1":{"x":2}}}`, "r.*.x", 3)
	f(`[[1,2],[3]]`, "*.*", 6)
	f(`[5]`, "0", 5)
	f(`{"a":1,"a":2}`, "a", 3) // two ranks of one name, as on a page
	f(`{"up":true}`, "up", 1)
	f(`{"up":false}`, "up", 0)
	f(`{"s":"\"}]","a":[],"o":{},"n":null,"x":1}`, "x", 1)
	f(`{"é":1}`, "é", 1)
	none(`{"a":null}`, "a")
	none(`{"a":"3"}`, "a")
	none(`{"a":[3]}`, "a")
	none(`{"a":{"b":3}}`, "a")
	none(`{"a":3}`, "a.b")
	none(`{"a":-3}`, "a")
	none(`{"a":1e300}`, "a")
	none(`{"a":[1,2]}`, "a.2")
	none(`{"a":[1,2]}`, "a.01")
	none(`{"\u0061":3}`, "a")
	none(`{"b":3}`, "a")
	none(`7`, "a")
}

func TestReadJSONRefuses(t *testing.T) {
	f := func(doc string) {
		t.Helper()
		err := readJSON([]byte(doc), profileOf(SGLang).loadsFrom, &tally{}, nil)
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%.60q: got %v, want ErrProtocol", doc, err)
		}
	}
	f(``)
	f(` `)
	f(`{`)
	f(`{"a"`)
	f(`{"a":`)
	f(`{"a":1`)
	f(`{"a":1,`)
	f(`{"a":1,}`)
	f(`{a:1}`)
	f(`{"a" 1}`)
	f(`[1`)
	f(`[1 2]`)
	f(`[1,]`)
	f(`{"a":"`)
	f(`{"a":"\"}`)
	f(`{"a":tru}`)
	f(`{"a":nil}`)
	f(`{"a":1} x`)
	f(`{"a":1}{"a":1}`)
	f(`<html>`)
	f(strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2))
	f(strings.Repeat("[", 1<<20))
	f(strings.Repeat(`{"a":`, 1<<20))
}

func TestVersionText(t *testing.T) {
	f := func(doc, want string) {
		t.Helper()
		var got string
		if err := readJSON([]byte(doc), profileOf(VLLM).aboutFrom, &tally{}, &got); err != nil || got != want {
			t.Errorf("%.60s: got %q (%v), want %q", doc, got, err, want)
		}
	}
	f(`{"version":"0.32.0+cpu"}`, "0.32.0+cpu")
	f(`{"version":"a\nb"}`, "")
	f("{\"version\":\"a\x1b[0m\"}", "")
	f(`{"version":"`+strings.Repeat("9", maxVersion+1)+`"}`, "")
	f(`{"version":7}`, "")
	f(`{"of":{"version":"1"}}`, "")
}

func TestReadJSONAllocatesNothing(t *testing.T) {
	doc := golden(t, "sglang-loads.json")
	sources := profileOf(SGLang).loadsFrom
	var r Reading
	if n := testing.AllocsPerRun(20, func() {
		var said tally
		if readJSON(doc, sources, &said, nil) != nil {
			t.Fatal("refused")
		}
		said.fill(&r)
	}); n != 0 {
		t.Errorf("%v allocations for a document, want 0", n)
	}
}

// Whatever the bytes: no panic and values in range. What encoding/json takes,
// and is not too deep, is taken here, and says the same.
func FuzzJSON(f *testing.F) {
	for name := range goldenAsides {
		f.Add(golden(f, name))
	}
	f.Add(golden(f, "bladellm.json"))
	f.Add([]byte(`{"loads":[{"num_running_reqs":1},{"num_running_reqs":true}]}`))
	f.Add([]byte(`[{"num_running_requests":"\"}"},-1.5E+3,null]`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, p := range profiles {
			for _, sources := range [][]source{p.page, p.loadsFrom, p.aboutFrom} {
				var said tally
				var text string
				if readJSON(doc, sources, &said, &text) == nil {
					checkRange(t, p.kind, &said)
				}
				if len(text) > maxVersion {
					t.Fatalf("version of %d bytes", len(text))
				}
			}
		}
		var whole map[string]any
		if json.Unmarshal(doc, &whole) != nil || strings.ContainsAny(string(doc), "\\") || depthOf(whole) > maxDepth {
			return
		}
		s, _ := parseSource("num_running_requests")
		var said tally
		if err := readJSON(doc, []source{s}, &said, nil); err != nil {
			t.Fatalf("%q is JSON: %v", doc, err)
		}
		want, ok := whole["num_running_requests"].(float64)
		if c := said.cells[running]; ok && want >= 0 && want <= maxValue && strings.Count(string(doc), "num_running_requests") == 1 && c.value != want {
			if text := string(doc); !strings.ContainsAny(text, "0123456789") || longNumber(text) {
				return
			}
			t.Fatalf("%q: got %v, want %v", doc, c.value, want)
		}
	})
}

func depthOf(v any) int {
	deepest := 0
	switch v := v.(type) {
	case map[string]any:
		for _, member := range v {
			deepest = max(deepest, depthOf(member)+1)
		}
	case []any:
		for _, item := range v {
			deepest = max(deepest, depthOf(item)+1)
		}
	}
	return deepest
}

// longNumber says whether doc has a run of numerals that is longer than a value
// may be.
func longNumber(doc string) bool {
	run := 0
	for i := range len(doc) {
		if run++; !isNumeral(doc[i]) {
			run = 0
		}
		if run > maxNumber {
			return true
		}
	}
	return false
}
