package engine

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestNewClientRefuses(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		if _, err := NewClient(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got error %v, want one with %q", o, err, want)
		}
	}
	f(Options{}, "scheme")
	f(Options{URL: "10.0.0.1:8000"}, "engine url")
	f(Options{URL: "unix:/run/x.sock"}, "scheme")
	f(Options{URL: "http://:8000"}, "no host")
	f(Options{URL: "http://u:secret@h"}, "user")
	f(Options{URL: "http://h/?a=b"}, "query")
	f(Options{URL: "http://h/#a"}, "fragment")
	f(Options{URL: "http://h/\r\nx"}, "engine url")
	f(Options{URL: "http://h", Kind: "tgo"}, `unknown engine kind "tgo": want one of [auto vllm sglang lmdeploy tgi trtllm triton llamacpp bladellm]`)
	f(Options{URL: "http://h", APIKey: "a\r\nX: y"}, "api key")

	_, err := NewClient(Options{URL: "http://u:secret@h"})
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("password in the error: %v", err)
	}
}

func TestAddressAndHost(t *testing.T) {
	f := func(raw, addr, host string) {
		t.Helper()
		u, err := engineURL(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := address(u); got != addr {
			t.Errorf("%s: dials %s, want %s", raw, got, addr)
		}
		if got := withoutZone(u.Host); got != host {
			t.Errorf("%s: Host %s, want %s", raw, got, host)
		}
	}
	f("http://gpu-1", "gpu-1:80", "gpu-1")
	f("https://gpu-1/", "gpu-1:443", "gpu-1")
	f("http://gpu-1:8000/base", "gpu-1:8000", "gpu-1:8000")
	f("http://[::1]:8000", "[::1]:8000", "[::1]:8000")
	f("http://[fe80::1%25eth0]:8000", "[fe80::1%eth0]:8000", "[fe80::1]:8000")
}

func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		if !k.Known() {
			t.Errorf("%s is listed and not known", k)
		}
	}
	if Kind("tgo").Known() || Kind("").Known() {
		t.Error("a kind without a profile is known")
	}
}

func TestHealthAndKey(t *testing.T) {
	e := newFakeEngine(t, "")
	status := http.StatusOK
	e.handle = func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(status)
		return true
	}
	c := newTestClient(t, Options{URL: e.URL + "/base/", APIKey: "k3y"})
	if err := c.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := e.took(); got != "/base/health" {
		t.Errorf("asked for %s", got)
	}
	e.set(func() {
		if got := e.header.Get("Authorization"); got != "Bearer k3y" {
			t.Errorf("Authorization: %q", got)
		}
		status = http.StatusServiceUnavailable
	})
	err := c.Health(t.Context())
	var se *StatusError
	if !errors.Is(err, ErrStatus) || !errors.As(err, &se) || se.Code != 503 {
		t.Errorf("got %v, want a StatusError of 503", err)
	}
	if want := "get " + e.URL + "/base/health: unexpected status 503, want 200"; err == nil || err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

func TestModels(t *testing.T) {
	e := newFakeEngine(t, "")
	var body string
	e.handle = func(w http.ResponseWriter, r *http.Request) bool {
		_, _ = w.Write([]byte(body))
		return r.URL.Path == "/v1/models"
	}
	c := newTestClient(t, Options{URL: e.URL})
	f := func(answer string, want ...Model) {
		t.Helper()
		e.set(func() { body = answer })
		got, err := c.Models(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %v, want %v", answer, got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: got %v, want %v", answer, got, want)
			}
		}
	}
	f(`{"object":"list","data":[{"id":"tiny","object":"model","created":1,"owned_by":"vllm","root":"/m","parent":null,"max_model_len":4096,"permission":[{"id":"x"}]},{"id":"sql-lora","parent":"tiny","max_model_len":null}]}`,
		Model{ID: "tiny", Owner: "vllm", MaxLen: 4096}, Model{ID: "sql-lora", Parent: "tiny"})
	f(`{"data":[]}`)
	f(`{"data":[{"id":"m","max_model_len":-1}]}`, Model{ID: "m"})
	f(`{"data":[{"id":"m","max_model_len":1e300}]}`, Model{ID: "m"})

	bad := func(answer, want string) {
		t.Helper()
		e.set(func() { body = answer })
		if _, err := c.Models(t.Context()); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want ErrProtocol with %q", answer, err, want)
		}
	}
	bad(``, "unexpected end")
	bad(`{}`, "no data")
	bad(`{"detail":"x"}`, "no data")
	bad(`{"data":[{}]}`, "data[0] has no id")
	bad(`{"data":[{"id":"`+strings.Repeat("m", 513)+`"}]}`, "data[0] has a name of 513 bytes, want at most 512")
	bad(`{"data":{"id":"m"}}`, "cannot unmarshal")
	bad(strings.Repeat("[", 1<<20), "max depth")
}

// An engine's list is only so long: the rest of it is left out.
func TestManyModels(t *testing.T) {
	body := `{"data":[` + strings.Repeat(`{"id":"m"},`, 5000) + `{"id":"last"}]}`
	models, err := parseModels([]byte(body))
	if err != nil || len(models) != maxModels {
		t.Errorf("got %d models, %v, want %d", len(models), err, maxModels)
	}
}

func FuzzModels(f *testing.F) {
	f.Add([]byte(`{"data":[{"id":"tiny","parent":null,"max_model_len":4096},{"id":"a","parent":"tiny"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		models, err := parseModels(body)
		for _, m := range models {
			if m.ID == "" || m.MaxLen < 0 || err != nil {
				t.Fatalf("%+v, %v", models, err)
			}
		}
	})
}

func TestHTTPS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer server.Close()
	config := server.Client().Transport.(*http.Transport).TLSClientConfig
	c := newTestClient(t, Options{URL: server.URL, TLS: config})
	for range 2 {
		if err := c.Health(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// An unknown authority is refused, and not taken for a dead connection.
	stranger := newTestClient(t, Options{URL: server.URL})
	if err := stranger.Health(t.Context()); !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v, want an error of the certificate", err)
	}
}

func TestIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	host := make(chan string, 1)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { host <- r.Host })}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	c := newTestClient(t, Options{URL: "http://" + l.Addr().String()})
	if err := c.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-host; got != l.Addr().String() {
		t.Errorf("Host: %s, want %s", got, l.Addr())
	}
}

func TestClosedClient(t *testing.T) {
	e := newFakeEngine(t, "")
	c := newTestClient(t, Options{URL: e.URL})
	c.Close()
	if err := c.Health(context.Background()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

func TestRedirected(t *testing.T) {
	f := func(base, location, want string) {
		t.Helper()
		c := newTestClient(t, Options{URL: base})
		got, ok := c.redirected(&StatusError{Code: 307, Location: location})
		if got != want || ok != (want != "") {
			t.Errorf("%s to %s: got %q (%v), want %q", base, location, got, ok, want)
		}
	}
	f("http://h:8000", "/metrics/", "/metrics/")
	f("http://h:8000", "metrics/", "/metrics/")
	f("http://h:8000", "http://h:8000/metrics/", "/metrics/")
	f("http://h:8000", "http://H:8000/metrics/?a=b", "/metrics/?a=b")
	f("http://h:8000", "//h:8000/metrics/", "/metrics/")
	f("https://h", "http://h/metrics/", "/metrics/")
	f("http://[::1]:8000", "http://[::1]:8000/metrics/", "/metrics/")
	f("http://h:8000/base", "/base/metrics/", "/base/metrics/")
	f("http://h:8000", "/a b", "/a%20b")
	f("http://h:8000", "http://other:8000/metrics/", "")
	f("http://h:8000", "http://h:9000/metrics/", "")
	f("http://h:8000", "", "")
	f("http://h:8000", "http://%zz/", "")

	c := newTestClient(t, Options{URL: "http://h"})
	if _, ok := c.redirected(&StatusError{Code: 304, Location: "/x"}); ok {
		t.Error("followed a 304")
	}
	if _, err := url.Parse(c.origin); err != nil {
		t.Error(err)
	}
}
