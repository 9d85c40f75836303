package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// one is an instance for configurations that are about something else.
const one = "instances: [{url: \"http://10.0.0.1:8000\"}]\n"

var oneFlag = Flags{Instances: []string{"http://10.0.0.1:8000"}}

// read loads text as if it stood in the file p.yaml.
func read(text string, flags Flags) (*Config, error) {
	root, err := parseDocument("p.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	return load(root, flags)
}

// mustRead is read where nothing is wrong.
func mustRead(t *testing.T, text string, flags Flags) *Config {
	t.Helper()
	c, err := read(text, flags)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return c
}

// refused checks that err is for the reader to mend and says what it should.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want %s", want)
	}
	if !IsUsage(err) {
		t.Errorf("%v: not an error of the configuration", err)
	}
	if err.Error() != want {
		t.Errorf("got\n%v, want\n%s", err, want)
	}
}

// write makes a file of the test and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// indent puts text under a key.
func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
