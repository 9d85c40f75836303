package admin

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"penstock/dataplane"
	"penstock/scheduler"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// serve runs the admin port of a router with two instances that nobody hears
// from.
func serve(t *testing.T) (url string, s *Server) {
	t.Helper()
	scfg := scheduler.DefaultConfig()
	scfg.Instances = []scheduler.InstanceConfig{{URL: "http://127.0.0.1:1", Name: "a"}, {URL: "http://127.0.0.1:2", Name: "b"}}
	sched, err := scheduler.New(scfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	g, err := dataplane.New(dataplane.DefaultConfig(), sched, quiet)
	if err != nil {
		t.Fatal(err)
	}
	s = New(Options{Gateway: g, Scheduler: sched, Build: Build{"v1", "abc"}, YAML: []byte("a: b\n"), JSON: []byte(`{"a":"b"}`), Log: quiet})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String(), s
}

func call(t *testing.T, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestPathsAndTheirErrors(t *testing.T) {
	url, s := serve(t)
	f := func(method, path string, status int, code string) {
		t.Helper()
		resp, body := call(t, method, url+path)
		if resp.StatusCode != status || resp.Header.Get("X-Penstock-Error") != code {
			t.Errorf("%s %s: %d %q, want %d %q", method, path, resp.StatusCode, resp.Header.Get("X-Penstock-Error"), status, code)
		}
		var shape struct {
			Error struct{ Message, Code string }
		}
		if code != "" && (json.Unmarshal([]byte(body), &shape) != nil || shape.Error.Code != code || shape.Error.Message == "") {
			t.Errorf("%s %s: not OpenAI's shape: %s", method, path, body)
		}
	}
	f("GET", "/", 200, "")
	f("GET", "/healthz", 200, "")
	f("GET", "/readyz", 200, "") // starting instances may be tried
	f("GET", "/debug/pprof/", 200, "")
	f("GET", "/nothing", 404, "route_not_found")
	f("GET", "/v1/models", 404, "route_not_found")
	f("GET", "/debug/pprof/nothing", 404, "")
	f("GET", "/api/v1/nothing", 404, "route_not_found")
	f("HEAD", "/metrics", 200, "")
	f("POST", "/metrics", 405, "method_not_allowed")
	f("PUT", "/api/v1/instances", 405, "method_not_allowed")
	f("DELETE", "/api/v1/config", 405, "method_not_allowed")
	f("GET", "/api/v1/instances/c", 404, "instance_not_found")
	f("POST", "/api/v1/instances", 404, "registration_off")
	f("DELETE", "/api/v1/instances/a", 404, "registration_off")
	f("POST", "/api/v1/instances/a/drain", 200, "")
	f("DELETE", "/api/v1/instances/a/drain", 200, "")
	f("POST", "/api/v1/instances/c/drain", 404, "instance_not_found")
	f("GET", "/api/v1/decisions?n=3", 200, "")
	for _, i := range s.Scheduler.Instances() {
		i.Failed(scheduler.Refused, "")
	}
	f("GET", "/readyz", 503, "no_instance")
	f("GET", "/healthz", 200, "")
}

func TestInstancesAreShown(t *testing.T) {
	url, s := serve(t)
	s.Scheduler.Instances()[1].Failed(scheduler.Reset, "")
	_, body := call(t, "GET", url+"/api/v1/instances")
	var got struct{ Instances []map[string]any }
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Instances) != 2 {
		t.Fatalf("%v: %s", err, body)
	}
	a, b := got.Instances[0], got.Instances[1]
	if a["name"] != "a" || a["state"] != "starting" || a["url"] != "http://127.0.0.1:1" || b["state"] != "starting" || b["reason"] != "reset" {
		t.Errorf("got %s", body)
	}
	for _, key := range []string{"engine", "models", "running", "waiting", "kv_usage", "kv_capacity_tokens", "in_flight", "pending", "prefill_tokens_in_flight", "signals"} {
		if _, ok := a[key]; !ok {
			t.Errorf("an instance lacks %s", key)
		}
	}
	for _, key := range []string{"running", "waiting", "kv_usage"} {
		if a[key] != nil {
			t.Errorf("%s of an engine that was never reached: %v, want null", key, a[key])
		}
	}
	signals := a["signals"].(map[string]any)["waiting"].(map[string]any)
	if signals["age_ms"] != nil || signals["alive"] != false {
		t.Errorf("a signal that was never heard: %v", signals)
	}
	if resp, one := call(t, "GET", url+"/api/v1/instances/b"); resp.StatusCode != 200 || !strings.Contains(one, `"reason": "reset"`) {
		t.Errorf("one instance: %s", one)
	}
}

func TestConfigurationInJSONAndYAML(t *testing.T) {
	url, _ := serve(t)
	if _, body := call(t, "GET", url+"/api/v1/config"); body != `{"a":"b"}` {
		t.Errorf("JSON: %s", body)
	}
	if resp, body := call(t, "GET", url+"/api/v1/config", "Accept", "application/yaml"); body != "a: b\n" || resp.Header.Get("Content-Type") != "application/yaml" {
		t.Errorf("YAML: %s", body)
	}
}

func TestMetricsPageHasEveryPart(t *testing.T) {
	url, _ := serve(t)
	resp, body := call(t, "GET", url+"/metrics")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("content type %q", resp.Header.Get("Content-Type"))
	}
	for _, want := range []string{
		"penstock_gateway_requests 0\n", `penstock_instance_state{instance="a",state="starting"} 1` + "\n",
		`penstock_kernel_source{mode="off"} 1` + "\n", `penstock_kernel_source{mode="sockops"} 0` + "\n",
		`penstock_build_info{version="v1",commit="abc",goversion="go`, "process_resident_memory_bytes ", "go_goroutines ",
		`penstock_request_errors_total{reason="queue_full"} 0` + "\n", `penstock_retries_total{outcome="exhausted"} 0` + "\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

func TestWrongMethodSaysTheRightOne(t *testing.T) {
	url, _ := serve(t)
	resp, body := call(t, "POST", url+"/healthz")
	if allow := resp.Header.Get("Allow"); allow != "GET, HEAD" || !strings.Contains(body, "/healthz takes GET, HEAD") {
		t.Errorf("Allow: %q, %s", allow, body)
	}
}

func TestIndexSaysWhatIsWhere(t *testing.T) {
	url, s := serve(t)
	s.Scheduler.Instances()[0].Failed(scheduler.Refused, "")
	_, body := call(t, "GET", url+"/")
	for _, want := range []string{"Penstock v1 (abc)\n", "0 answered, 0 refused or failed", "/metrics", "/api/v1/instances", "/api/v1/config", "/readyz", "/debug/pprof/", "starting", "refused"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q:\n%s", want, body)
		}
	}
}

func TestWhatWasNeverHeardIsADash(t *testing.T) {
	f := func(want string, signals ...scheduler.Signal) {
		t.Helper()
		if got := heard(&scheduler.Status{Signals: signals}, "waiting", "%d", 3); got != want {
			t.Errorf("%v: got %q, want %q", signals, got, want)
		}
	}
	f("3", scheduler.Signal{Name: "waiting", Alive: true})
	f("-", scheduler.Signal{Name: "waiting", Age: -1, Alive: true})
	f("-", scheduler.Signal{Name: "waiting"})
	f("-", scheduler.Signal{Name: "running", Alive: true})
	url, _ := serve(t)
	if _, body := call(t, "GET", url+"/"); !regexp.MustCompile(`(?m)^a +starting +- +- +- +0`).MatchString(body) {
		t.Errorf("the page is\n%s", body)
	}
}

func TestBuildSaysTheCommitOnce(t *testing.T) {
	f := func(version, commit, want string) {
		t.Helper()
		if got := (Build{version, commit}).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("v1.0", "0123456789ab", "v1.0 (0123456789ab)")
	f("0123456-dirty", "0123456789ab", "0123456-dirty")
	f("v1.0-3-g0123456", "0123456789ab", "v1.0-3-g0123456")
}

// What promtool would say, as far as that can be told without it: one HELP and
// one TYPE for each family, before its samples; no series twice.
func TestMetricsPageIsInOrder(t *testing.T) {
	url, _ := serve(t)
	_, body := call(t, "GET", url+"/metrics")
	kinds, series, family := map[string]string{}, map[string]bool{}, ""
	for line := range strings.Lines(body) {
		line = strings.TrimSuffix(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			if kinds[name] != "" {
				t.Errorf("%s stands twice", name)
			}
			if kind == "counter" != strings.HasSuffix(name, "_total") {
				t.Errorf("%s is a %s", name, kind)
			}
			kinds[name], family = kind, name
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			if _, help, _ := strings.Cut(rest, " "); help == "" {
				t.Errorf("no help: %s", line)
			}
			continue
		}
		key, _, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(key, family) {
			t.Errorf("%s stands among %s", key, family)
		}
		if series[key] {
			t.Errorf("%s stands twice", key)
		}
		series[key] = true
	}
	if len(kinds) < 40 {
		t.Errorf("only %d families", len(kinds))
	}
}

func TestServeEndsWhenItsPortIsGone(t *testing.T) {
	_, s := serve(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := New(s.Options).Serve(context.Background(), ln); err == nil || !strings.Contains(err.Error(), "admin port") {
		t.Errorf("got %v, want an error that names the admin port", err)
	}
}
