package config

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"penstock/scheduler"
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

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	f := func(text string, flags Flags, want ...string) {
		t.Helper()
		_, err := read(text, flags)
		var got []string
		for _, one := range Parts(err) {
			got = append(got, one.Error())
		}
		if !slices.Equal(got, want) || len(want) > 0 && !IsUsage(err) {
			t.Errorf("%s: got\n%s\nwant\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	f(one+"liste: x\nqueue: {max_size: -1, timeout: 5}\nretry: {count: 8}\nwebsocket: {origins: [https://a, https://b/], paths: [/v1/models, /a, /a]}\npolicy: p2\n", Flags{LogLevel: "loud"},
		`p.yaml:2: liste: unknown key (did you mean "listen"?)`,
		`p.yaml:3: queue.max_size: -1 is negative`,
		`p.yaml:3: queue.timeout: 5 has no unit: write 5s or 5ms`,
		`p.yaml:5: websocket.origins[1]: "https://b/": write https://b: an origin has no path and no slash at its end`,
		`p.yaml:6: policy: "p2" is none of: `+strings.Join(scheduler.Policies(), ", ")+` (did you mean "p2c"?)`,
		`--log-level: "loud" is none of: debug, info, warn, error`,
		`p.yaml:5: websocket.paths[0]: /v1/models is a path of the router's own, and no WebSocket`,
		`p.yaml:5: websocket.paths[2]: /a stands twice`,
		`p.yaml:4: retry.count: 8 is out of range: 0 to 7`)
	f("instances:\n- {url: \"http://a:1\", nam: x}\n- {url: b}\n- {url: \"http://127.0.0.1:8080\"}\n", Flags{},
		`p.yaml:2: instances[0].nam: unknown key (did you mean "name"?)`,
		`p.yaml:3: instances[1].url: "b": write http://b`)
	f("instances:\n- {url: \"http://127.0.0.1:8081\"}\n- {url: \"http://127.0.0.1:8080\"}\n", Flags{},
		`p.yaml:2: instances[0].url: http://127.0.0.1:8081 is this router's own admin port`,
		`p.yaml:3: instances[1].url: http://127.0.0.1:8080 is this router's own data port`)
	f(one+"health: {connect_timeout: 2m}\nslo: {ttft: 2h}\n", Flags{},
		`p.yaml:2: health.connect_timeout: 2m is out of range: 1ms to 1m`,
		`p.yaml:3: slo.ttft: 2h0m0s is out of range: 0s to 1h0m0s`)
}

// What could not be read is not judged: the value in force is another.
func TestAKeyThatCannotBeReadIsSaidOnce(t *testing.T) {
	_, err := read(one+"websocket: {paths: [[a], v1]}\nlisten: [127.0.0.1]\nlog: {level: loud}", Flags{})
	if got := len(Parts(err)); got != 3 {
		t.Errorf("got %d errors: %v", got, err)
	}
}

func TestManyErrorsAreCountedInOneLine(t *testing.T) {
	all := Errors{errors.New("a"), errors.New("b"), errors.New("c"), errors.New("d"), errors.New("e")}
	if got, want := all.Error(), "a; b; c; and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
