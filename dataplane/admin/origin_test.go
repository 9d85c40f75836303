package admin

import (
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"penstock/scheduler/discovery"
)

// asked gives s a request with such a Host and headers, and returns the status
// and the error's code.
func asked(s *Server, method, path, host, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = host
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	w := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(w, r)
	return w.Code, w.Header().Get("X-Penstock-Error")
}

// own is how this machine calls the port.
const own = "127.0.0.1:8081"

func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	_, s := serve(t)
	f := func(status int, code string, headers ...string) {
		t.Helper()
		for _, method := range []string{"POST", "DELETE"} {
			got, said := asked(s, method, "/api/v1/instances/a/drain", own, "", headers...)
			if got != status || said != code {
				t.Errorf("%s with %q: %d %s, want %d %s", method, headers, got, said, status, code)
			}
		}
	}
	f(200, "")
	f(200, "", "Origin", "http://"+own)
	f(200, "", "Origin", "http://"+own, "Sec-Fetch-Site", "same-origin")
	f(403, "foreign_origin", "Origin", "http://evil.example")
	f(403, "foreign_origin", "Origin", "http://127.0.0.1:1")
	f(403, "foreign_origin", "Origin", "null")
	f(403, "foreign_origin", "Origin", "http://"+own+".evil.example")
	f(403, "foreign_origin", "Sec-Fetch-Site", "cross-site")
	f(403, "foreign_origin", "Sec-Fetch-Site", "same-site")
	if len(s.Scheduler.Drains()) > 0 {
		t.Error("something drains")
	}
}

func TestNamesThatAreNotThePortsOwnAreRefused(t *testing.T) {
	_, s := serve(t)
	o := s.Options
	o.Host = "gw.rack:8081"
	s = New(o)
	s.private = true
	const port, drain, list = ":8081", "/api/v1/instances/a/drain", "/api/v1/instances"
	f := func(method, path, host string, status int) {
		t.Helper()
		if got, _ := asked(s, method, path, host, ""); got != status {
			t.Errorf("%s %s as %s: %d, want %d", method, path, host, got, status)
		}
	}
	this, _ := os.Hostname()
	for _, host := range []string{"localhost" + port, "LocalHost.", "127.0.0.1", "[::1]" + port, "10.0.0.2:80", "gw.rack", "GW.rack:9", this} {
		f("POST", drain, host, 200)
		f("GET", list, host, 200)
	}
	for _, host := range []string{"evil.example" + port, "127.0.0.1.evil.example", "localhost.evil.example", "gw.rack.evil"} {
		f("POST", drain, host, 403)
		f("DELETE", drain, host, 403)
		f("GET", list, host, 403)
		f("GET", "/debug/pprof/", host, 403)
		for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
			f("GET", path, host, 200)
		}
	}
	s.private = false // it listens to the network, where it has names of others' making
	f("GET", list, "router.internal", 200)
	f("POST", drain, "router.internal", 403)
	s.Registration = &Registration{Token: "sesame"}
	if got, _ := asked(s, "POST", drain, "router.internal", "", "Authorization", "Bearer sesame"); got != 200 {
		t.Errorf("who has the token: %d", got)
	}
	f("POST", drain, "router.internal", 403)
	f("POST", drain, "10.0.0.2", 401)
}

// A page may send a form, or plain text, wherever it likes.
func TestBodiesAreJSONThatSaysSo(t *testing.T) {
	_, s := serve(t)
	f := func(kind string, status int, code string) {
		t.Helper()
		got, said := asked(s, "POST", "/api/v1/instances", own, `{"url":"http://a:1"}`, "Content-Type", kind)
		if got != status || said != code {
			t.Errorf("%q: %d %s, want %d %s", kind, got, said, status, code)
		}
	}
	for _, kind := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json"} {
		f(kind, 415, "unsupported_media_type")
	}
	f("application/json", 404, "registration_off")
	f("Application/JSON; charset=utf-8", 404, "registration_off")
}

func TestDrainOfOneThatIsGoneIsShownAndTakenBack(t *testing.T) {
	url, s := serve(t)
	call(t, "POST", url+"/api/v1/instances/b/drain")
	if err := s.Scheduler.Set("configuration", nil); err != nil {
		t.Fatal(err)
	}
	if _, body := call(t, "GET", url+"/api/v1/instances"); !strings.Contains(body, `"url": "http://127.0.0.1:2"`) {
		t.Errorf("the drain is not shown: %s", body)
	}
	for _, status := range []int{200, 404} {
		if resp, body := call(t, "DELETE", url+"/api/v1/instances/b/drain"); resp.StatusCode != status {
			t.Errorf("%d %s, want %d", resp.StatusCode, body, status)
		}
	}
}

func TestConnectionOfARegistrationOutlastsItsTTL(t *testing.T) {
	o := Options{Log: quiet}
	if got := New(o).http.IdleTimeout; got != idleFor {
		t.Errorf("without registration %v", got)
	}
	o.Registration = &Registration{Registry: &discovery.Registry{TTL: time.Hour}}
	if got := New(o).http.IdleTimeout; got < time.Hour {
		t.Errorf("%v for a ttl of an hour", got)
	}
}
