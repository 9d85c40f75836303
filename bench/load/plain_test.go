package load

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode"
)

// hostile is what a terminal would obey: to clear itself, to change its title,
// and, in one character, to begin such a command.
const hostile = "\x1b[2J\x1b]0;pwn\x07\u009b31m\r"

// A report says nothing to the terminal, whatever the endpoint says.
func TestEndpointsDoNotSteerTheTerminal(t *testing.T) {
	f := func(name string, answer http.HandlerFunc) {
		t.Helper()
		s := serve(t, answer)
		cfg := short(s.URL, 2)
		cfg.Model = "m" + hostile + "\ncompleted    all"
		r := mustRun(t, cfg)
		shown := text(t, r)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range strings.ReplaceAll(shown, "\n", "") + string(b) {
			if unicode.IsControl(c) {
				t.Fatalf("%s: the report has %q:\n%q", name, c, shown)
			}
		}
		if strings.Contains(shown, "\ncompleted    all") {
			t.Errorf("%s: the model's name is a line of the report:\n%s", name, shown)
		}
	}
	f("error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, hostile, http.StatusBadGateway) })
	f("event", func(w http.ResponseWriter, r *http.Request) { say(w, `data: {"error":"`+hostile+`"}`+"\n\n") })
	f("page", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, hostile) })
	f("instance", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Penstock-Decision", "instance=a\u009b31m")
		stream(w, r)
	})
	f("header", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Penstock-Decision", "instance=a"+hostile)
		stream(w, r)
	})
}

func TestRefusalOfTheModelsDoesNotSteerTheTerminal(t *testing.T) {
	s := serve(t, stream)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 "+hostile+"\r\n"+hostile+"\r\n\r\n")
	})
	cfg := short(s.URL, 1)
	cfg.Model = ""
	if _, err := Run(t.Context(), cfg, nil); err == nil || strings.ContainsFunc(err.Error(), unicode.IsControl) {
		t.Errorf("got error %q", err)
	}
}
