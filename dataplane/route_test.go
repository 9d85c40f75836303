package dataplane

import (
	"testing"

	"penstock/scheduler"
)

const managed = "/api/predict/llm_group.llm_router_llm_gateway"

func allowing(paths ...string) func(*Config, *scheduler.Config) {
	return func(c *Config, _ *scheduler.Config) { c.Routes.Allow = paths }
}

func TestRoutedPathsReachTheEngine(t *testing.T) {
	e, _ := counting(t)
	r := start(t, instances(e.url), allowing("/custom", "/deep/*"))
	f := func(method, target, want string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.request(method, target, ask)
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
		if got := resp.Header.Get("X-Target"); got != want {
			t.Errorf("%s %s came to the engine as %s, want %s", method, target, got, want)
		}
	}
	for _, path := range []string{
		"/v1/completions", "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/messages/count_tokens", "/v1/embeddings",
		"/v1/rerank", "/v1/score", "/v1/audio/speech", "/v1/audio/a/b", "/tokenize", "/detokenize", "/generate", "/generate_stream", "/custom", "/deep/a/b.c",
	} {
		f("POST", path, path)
		f("POST", managed+path, path)
	}
	f("POST", "/v1/completions?a=%20b&c", "/v1/completions?a=%20b&c")
	f("POST", "http://any.host/v1/completions", "/v1/completions")
	f("GET", "/v1/responses/resp_1?stream=true", "/v1/responses/resp_1?stream=true")
	f("DELETE", "/v1/responses/resp_1", "/v1/responses/resp_1")
	f("POST", "/v1/responses/resp_1/cancel", "/v1/responses/resp_1/cancel")
	f("GET", "/custom", "/custom")
	f("DELETE", "/deep/x", "/deep/x")
}

func TestOtherPathsAreNotRouted(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), allowing("/custom", "/deep/*"))
	paths := []string{
		"/", "/metrics", "/v1", "/v1/", "/v1/completions/", "/V1/completions", "//v1/completions", "/v1//completions", "/v1/completions%2f",
		"/v1/%63ompletions", "/v1/audio", "/v1/audio/", "/v1/audio/../completions", "/v1/audio/..%2fx", "/v1/audio/%2e%2e/x", `/v1/audio/a\b`, "/v1/audio//x",
		"/custom/", "/custom/x", "/deep", "/deep/", "/deep/../metrics", "/deep/x/../../metrics", "/deep/%2e%2e/metrics", "/deep//x",
		managed, managed + "/", managed + "/metrics", managed + managed + "/v1/completions", managed + "x/v1/completions", managed + "/../v1/completions",
		"/api/predict/other.llm_router_llm_gateway/v1/completions", "/v1/load_lora_adapter", "/sleep", "/server_info",
	}
	for _, path := range paths {
		resp, body := r.call("POST", path, "Content-Length: 0")
		expect(t, resp, body, 404, "route_not_found")
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests came to the engine", n)
	}
	r.until("the requests to be counted, all under one label", func() bool {
		return r.metric(`penstock_requests_total{route="other",code="404",key=""}`) == float64(len(paths))
	})
}

func TestOwnGroupAndNameMakeThePrefix(t *testing.T) {
	e, _ := counting(t)
	r := start(t, instances(e.url), func(c *Config, _ *scheduler.Config) { c.Group, c.Name = "g", "n" })
	p := r.dial()
	p.request("POST", "/api/predict/g.n_llm_gateway/generate", "{}")
	resp, body := p.whole()
	if expect(t, resp, body, 200, ""); resp.Header.Get("X-Target") != "/generate" {
		t.Errorf("got %q", resp.Header.Get("X-Target"))
	}
	resp, body = r.call("POST", managed+"/generate", "Content-Length: 0")
	expect(t, resp, body, 404, "route_not_found")
}

func TestMethods(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), nil)
	f := func(method, path, allow string) {
		t.Helper()
		p := r.dial()
		defer p.Close()
		p.line(method, path)
		resp, body := p.answer(method)
		if method == "HEAD" {
			if body != "" {
				t.Errorf("HEAD got a body: %q", body)
			}
			body = `{"error":{"message":"`
		}
		expect(t, resp, body, 405, "method_not_allowed")
		if got := resp.Header.Get("Allow"); got != allow {
			t.Errorf("%s %s: Allow is %q, want %q", method, path, got, allow)
		}
		p.line("GET", "/ping") // nothing of the answer is left over
		if resp, _ := p.answer("GET"); resp.StatusCode != 200 {
			t.Errorf("after %s %s: %d", method, path, resp.StatusCode)
		}
	}
	f("GET", "/v1/completions", "POST")
	f("HEAD", "/v1/completions", "POST")
	f("DELETE", "/v1/chat/completions", "POST")
	f("post", "/v1/completions", "POST") // methods are case-sensitive
	f("GET", "/v1/audio/speech", "POST")
	f("PUT", "/v1/responses/resp_1", "GET, POST, DELETE")
	f("POST", "/v1/models", "GET, HEAD")
	f("POST", "/health", "GET, HEAD")
	f("DELETE", "/ping", "GET, HEAD")
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests came to the engine", n)
	}
	r.until("the requests to be counted", func() bool {
		return r.metric(`penstock_request_errors_total{reason="bad_request"}`) == 9
	})
}

func TestHealthSaysWhetherARequestWouldFindAnInstance(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url, deadURL(t)), withKeys(keyOf("ann", "sk-one")))
	for _, path := range []string{"/health", "/ping", managed + "/health"} {
		if resp, body := r.call("GET", path); resp.StatusCode != 200 || body != `{"status":"ok"}` {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
	p := r.dial()
	p.line("HEAD", "/health")
	if resp, body := p.answer("HEAD"); resp.StatusCode != 200 || body != "" || resp.ContentLength != int64(len(`{"status":"ok"}`)) {
		t.Errorf("HEAD: %d %q, Content-Length %d", resp.StatusCode, body, resp.ContentLength)
	}
	p.line("GET", "/health")
	if resp, _ := p.answer("GET"); resp.StatusCode != 200 {
		t.Errorf("after HEAD: %d", resp.StatusCode)
	}

	none := start(t, instances(deadURL(t)), nil)
	none.until("the instance to be out", func() bool { return !none.g.Routable() })
	for _, path := range []string{"/health", "/ping"} {
		resp, body := none.call("GET", path)
		expect(t, resp, body, 503, "no_instance")
	}
}
