package admin

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"penstock/scheduler/discovery"
)

// logging is serve with what is logged, and the token sesame.
func logging(t *testing.T) (*Server, *strings.Builder) {
	t.Helper()
	_, s := serve(t)
	log := new(strings.Builder)
	o := s.Options
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	o.Registration = &Registration{Token: "sesame", Registry: &discovery.Registry{TTL: time.Minute, Log: quiet, Set: func([]discovery.Target) error { return nil }},
		Check: func(t discovery.Target) (discovery.Target, error) { return t, nil }}
	return New(o), log
}

func TestRefusedRegistrationsAreLoggedOnceAMinuteEach(t *testing.T) {
	s, log := logging(t)
	synctest.Test(t, func(t *testing.T) {
		for range 70 { // two minutes and a bit
			asked(s, "POST", "/api/v1/instances", own, `{"url":"http://a:1"}`, "Content-Type", "application/json")
			time.Sleep(2 * time.Second)
		}
		got := log.String()
		if strings.Count(got, "there is no token") != 3 || strings.Count(got, "left_out=29") != 2 || strings.Count(got, "\n") != 3 {
			t.Errorf("logged %s", got)
		}
		if !strings.Contains(got, `level=WARN msg="refused at the admin port" request="POST /api/v1/instances" from=192.0.2.1 status=401`) {
			t.Errorf("logged %s", got)
		}
		log.Reset()
		asked(s, "POST", "/api/v1/instances", own, `{"uri":"`+strings.Repeat("x", 60<<10)+`"}`, "Content-Type", "application/json", "Authorization", "Bearer sesame")
		if got := log.String(); !strings.Contains(got, `unknown field`) || len(got) > 1000 {
			t.Errorf("another reason: logged %d bytes: %.200s", len(got), got)
		}
	})
}

func TestWrongTokenIsToldFromNone(t *testing.T) {
	s, log := logging(t)
	f := func(want string, headers ...string) {
		t.Helper()
		log.Reset()
		s.refused = refusals{}
		if status, code := asked(s, "POST", "/api/v1/instances/a/drain", own, "", headers...); status != 401 || code != "invalid_token" {
			t.Errorf("%d %s", status, code)
		}
		if !strings.Contains(log.String(), want) {
			t.Errorf("%v: logged %s, want %s", headers, log, want)
		}
	}
	f("there is no token: need that of discovery.register.token_file")
	f("the token is not that of discovery.register.token_file", "Authorization", "Bearer guess")
	f("the token is not that of discovery.register.token_file", "Authorization", "sesame")
}
