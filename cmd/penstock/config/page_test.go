package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"penstock/scheduler/engine"
)

// stray is a key that nobody has: what refuses it says which there are.
const stray = "zzqqzzqqzzqq"

// keysUnder are the keys known where form has room for a mapping, nil where none
// can stand: form is a document with one %s.
func keysUnder(read reader, form string) []string {
	root, err := parseDocument("p.yaml", fmt.Appendf(nil, form, "{"+stray+": 1}"))
	if err != nil {
		return nil
	}
	var e *Error
	if err := read(root); !errors.As(err, &e) {
		return nil
	}
	return e.known
}

// walk notes every key under form, dotted.
func walk(read reader, form, prefix string, found map[string]bool) {
	for _, key := range keysUnder(read, form) {
		name := prefix + key
		inner := fmt.Sprintf(form, "{"+key+": %s}")
		switch before := len(found); {
		case keysUnder(read, inner) != nil:
			walk(read, inner, name+".", found)
		case keysUnder(read, fmt.Sprintf(inner, "[%s]")) != nil:
			walk(read, fmt.Sprintf(inner, "[%s]"), name+"[].", found)
		case keysUnder(read, fmt.Sprintf(inner, "{any: %s}")) != nil:
			walk(read, fmt.Sprintf(inner, "{any: %s}"), name+".NAME.", found)
		case len(found) == before:
			found[name] = true
		}
	}
}

// schemaKeys are all keys of the configuration, and of a file of keys.
func schemaKeys() map[string]bool {
	found := map[string]bool{}
	native := func(v value) error { return Default().native().read(v) }
	walk(native, "%s", "", found)
	walk(section{"keys": list(func(v value) error { _, err := readKey(v); return err })}.read, "%s", "", found)
	for _, field := range engine.Fields() {
		for _, suffix := range []string{"", scaleSuffix} {
			if key := "engines.NAME." + field + suffix; found[key] {
				delete(found, key)
				found["engines.NAME.FIELD"+suffix] = true
			}
		}
	}
	return found
}

// pageKeys are the keys that the reference has, with their defaults.
func pageKeys(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|(?: ([^|]*)\\|)?").FindAllSubmatch(page, -1) {
		key := string(row[1])
		if _, twice := found[key]; twice {
			t.Errorf("%s stands twice", key)
		}
		found[key] = strings.TrimSpace(string(row[2]))
	}
	return found
}

func TestReferenceHasEveryKeyAndNoOther(t *testing.T) {
	schema, page := schemaKeys(), pageKeys(t)
	for _, key := range slices.Sorted(maps.Keys(schema)) {
		if _, ok := page[key]; !ok {
			t.Errorf("docs/configuration.md lacks %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(page)) {
		if !schema[key] {
			t.Errorf("docs/configuration.md has %s, which the schema has not", key)
		}
	}
	if len(schema) < 60 {
		t.Errorf("only %d keys were found", len(schema))
	}
}

func TestReferenceHasTheDefaultsInForce(t *testing.T) {
	var doc map[string]any
	if err := yaml.Unmarshal(mustRead(t, "", oneFlag).Effective(), &doc); err != nil {
		t.Fatal(err)
	}
	page, checked := pageKeys(t), 0
	var compare func(prefix string, doc map[string]any)
	compare = func(prefix string, doc map[string]any) {
		for key, v := range doc {
			if said, ok := page[prefix+key]; ok {
				checked++
				if want := "`" + written(v) + "`"; said != want {
					t.Errorf("%s: the page says %s, it is %s", prefix+key, said, want)
				}
			} else if inner, ok := v.(map[string]any); ok {
				compare(prefix+key+".", inner)
			}
		}
	}
	compare("", doc)
	if checked < 35 {
		t.Errorf("only %d defaults were compared", checked)
	}
}

// written is a value as the page has it.
func written(v any) string {
	switch v := v.(type) {
	case []any:
		if len(v) == 1 {
			return fmt.Sprint(v[0])
		}
		return fmt.Sprint(v)
	case map[string]any:
		if len(v) == 0 {
			return "{}"
		}
	case string:
		if v == "" {
			return `""`
		}
	}
	return fmt.Sprint(v)
}
