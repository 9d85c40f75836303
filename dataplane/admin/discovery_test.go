package admin

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"penstock/scheduler/discovery"
)

func page(s *Server, path string) (int, string) {
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
	r.Host = own
	s.http.Handler.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestBrokenSourceIsShownEverywhere(t *testing.T) {
	_, s := serve(t)
	at := time.Date(2026, 1, 2, 14, 3, 5, 0, time.UTC)
	s.Discovery = func() []discovery.Status {
		return []discovery.Status{
			{Source: "file", From: "/etc/list.yaml", Instances: 3, Errors: 7, Error: "line 2: wrong", Since: at},
			{Source: "registration", Up: true, Instances: 1},
		}
	}
	f := func(path string, wants ...string) {
		t.Helper()
		_, body := page(s, path)
		for _, want := range wants {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q:\n%s", path, want, body)
			}
		}
	}
	f("/metrics", `penstock_discovery_up{source="file"} 0`+"\n", `penstock_discovery_up{source="registration"} 1`+"\n",
		`penstock_discovery_instances{source="file"} 3`+"\n", `penstock_discovery_errors_total{source="file"} 7`+"\n")
	f("/api/v1/discovery", `"from": "/etc/list.yaml"`, `"up": false`, `"error": "line 2: wrong"`, `"since": "2026-01-02T14:03:05Z"`, `"since": null`)
	f("/", "file: its 3 instances are kept as they were since 14:03:05Z: line 2: wrong\n")
}

func TestReadyzSaysThatThereIsNoInstanceYet(t *testing.T) {
	_, s := serve(t)
	if status, body := page(s, "/readyz"); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	if err := s.Scheduler.Set("configuration", nil); err != nil {
		t.Fatal(err)
	}
	if status, body := page(s, "/readyz"); status != 503 || !strings.Contains(body, "no instance yet") || !strings.Contains(body, `"no_instance"`) {
		t.Errorf("%d %s", status, body)
	}
}
