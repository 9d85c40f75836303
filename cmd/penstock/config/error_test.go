package config

import (
	"errors"
	"strings"
	"testing"
)

func TestErrorParts(t *testing.T) {
	f := func(e Error, want string) {
		t.Helper()
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(Error{Message: "m"}, "m")
	f(Error{File: "f", Message: "m"}, "f: m")
	f(Error{File: "f", Line: 3, Key: "a.b", Message: "m", Near: "n"}, `f:3: a.b: m (did you mean "n"?)`)
	f(Error{Key: "--flag", Message: "m"}, "--flag: m")
	if IsUsage(errors.New("x")) {
		t.Error("any error counts as one of the configuration")
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "log", "max_size", "timeout"}
	f := func(name, want string) {
		t.Helper()
		if got := Nearest(name, known); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	f("liste", "listen")
	f("Listen", "listen")
	f("maxsize", "max_size")
	f("time_out", "timeout")
	f("lgo", "log")
	f("foo", "")
	f("a", "")
	f("instances", "")
	f("", "")
	f(strings.Repeat("listen", 20), "")
	if got := Nearest("x", nil); got != "" {
		t.Errorf("got %q of nothing known", got)
	}
}
