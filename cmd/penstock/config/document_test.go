package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDocuments(t *testing.T) {
	f := func(text string) {
		t.Helper()
		c := mustRead(t, text, oneFlag)
		if c.Gateway.Queue.MaxSize != 3 {
			t.Errorf("%q: got %d, want 3", text, c.Gateway.Queue.MaxSize)
		}
	}
	f("queue: {max_size: 3}")
	f("queue:\n  max_size: 3\n")
	f("queue:\r\n  max_size: 3\r\n")
	f("\ufeffqueue: {max_size: 3}")
	f("---\nqueue: {max_size: 3}\n...\n")
	f("# a comment\nqueue: # another\n  # and one more\n  max_size: 3 # three\n")
	f(`{"queue": {"max_size": 3}}`)
	f("{\n\t\"queue\": {\n\t\t\"max_size\": 3\n\t}\n}\n")
	f("\"queue\": {'max_size': 3}")
}

func TestEmptyDocuments(t *testing.T) {
	f := func(text string) {
		t.Helper()
		mustRead(t, text, oneFlag)
	}
	f("")
	f("\n\n")
	f("# nothing but a comment\n")
	f("---\n")
	f("{}")
	f("null")
}

func TestBadDocuments(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := read(text, oneFlag)
		if err == nil || !IsUsage(err) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s…", text, err, want)
		}
	}
	f("hello", "p.yaml:1: need keys and values, not a string")
	f("- a", "p.yaml:1: need keys and values, not a list")
	f("a: b: c", "p.yaml:1: ")
	f("queue: {max_size: 3", "p.yaml:1: ")
	f("listen: x\n\tadmin: y", "p.yaml:2: ")
	f("queue: {max_size: 3}\n---\nqueue: {max_size: 4}", "p.yaml:3: a second document: one file holds one")
	f("queue:\n\tmax_size: 3", "p.yaml:2: found character '\t' that cannot start any token: indent with spaces, not tabs")
	f("queue:\n  max_size: 1\n   timeout: 1s", "p.yaml:2: mapping value is not allowed in this context: keys of one level begin in one column")
	f("listen: [::1]:8080", "p.yaml:1: value is not allowed in this context: keys of one level begin in one column, and an address such as \"[::1]:8080\" needs quotes")
	f("listen: \"a\xff\"", "p.yaml: is not UTF-8 text")
	f(strings.Repeat("[", 100), "p.yaml:1: nested more than 16 deep")
	f(strings.Repeat("- ", 100), "p.yaml:1: nested more than 16 deep")
	f(strings.Repeat("a: b\n", maxKeys+1), "p.yaml:16385: more than 16384 keys")
}

func TestFiles(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		_, err := Load(path, oneFlag)
		refused(t, err, path+want)
	}
	f("/nonexistent/p.yaml", ": no such file or directory")
	f(t.TempDir(), ": is a directory")
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	f(large, ": larger than the 1048576 bytes that such a file may have")
	f("/dev/zero", ": larger than the 1048576 bytes that such a file may have")
}

// FuzzLoad: whatever a file says, it is read or refused, soon, with a place.
func FuzzLoad(f *testing.F) {
	f.Add(everyDefault)
	f.Add(one)
	f.Add("instances:\n- url: http://a\n  name: x\nlisten: [\":1\", unix:/x]\nmetrics: {labels: {a: b}}\nqueue: {max_size: 1e3}")
	f.Add("a: &a [*a, *a]\nb: !!binary |\n  x\n? [c]\n: {<<: *a}\n")
	f.Add("{\"metadata\": {\"type\": \"LLMGatewayService\", \"cpu\": 1.5}, \"llm_gateway\": {\"retry_count\": 1}, \"cloud\": []}")
	f.Add(": : :\n- -\n- ? -\n|\n>\n%a\n--- !!map\n...")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 16<<10 || strings.Contains(text, "file") { // keys_file and api_key_file open what they name
			return
		}
		start := time.Now()
		c, err := read(text, oneFlag)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %v for %d bytes", d, len(text))
		}
		if err != nil {
			if !IsUsage(err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line that says where", err)
			}
			return
		}
		if _, err := read(string(c.Effective()), Flags{}); err != nil {
			t.Errorf("what it means cannot be read again: %v\n%s", err, c.Effective())
		}
		c.EffectiveJSON()
	})
}
