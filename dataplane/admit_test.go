package dataplane

import (
	"crypto/sha256"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"penstock/scheduler"
)

// line sends a request without a body.
func (p *peer) line(method, target string, headers ...string) {
	p.t.Helper()
	p.send("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, target, headerLines(headers))
}

// request sends a request with a body of known length.
func (p *peer) request(method, target, body string, headers ...string) {
	p.t.Helper()
	p.line(method, target, append(headers, "Content-Length: "+itoa(len(body)))...)
	p.send("%s", body)
}

// answer reads the answer to a request of this method to its end.
func (p *peer) answer(method string) (*http.Response, string) {
	p.t.Helper()
	resp, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("reading the answer to %s: %v", method, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatalf("reading the answer's body: %v", err)
	}
	return resp, string(b)
}

// call sends one request without a body on a connection of its own.
func (r *rig) call(method, target string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	p := r.dial()
	defer p.Close()
	p.line(method, target, headers...)
	return p.answer(method)
}

func keyOf(name, secret string, models ...string) Key {
	return Key{Name: name, Digest: sha256.Sum256([]byte(secret)), Models: models}
}

func withKeys(keys ...Key) func(*Config, *scheduler.Config) {
	return func(c *Config, _ *scheduler.Config) { c.Auth.Keys = keys }
}

// counting is an engine that says which target it was asked for, and counts.
func counting(t *testing.T) (*engine, *atomic.Int32) {
	n := new(atomic.Int32)
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		w.Header().Set("X-Target", r.RequestURI)
		ok(w, r)
	}), n
}

func TestKeys(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), withKeys(keyOf("ann", "sk-one"), keyOf("bob", "sk-two")))
	good := 0
	f := func(authorization string, status int) {
		t.Helper()
		var headers []string
		if authorization != "" {
			headers = append(headers, "Authorization: "+authorization)
		}
		resp, body := r.do(ask, headers...)
		code := ""
		if status == 401 {
			code = "invalid_api_key"
		} else {
			good++
		}
		expect(t, resp, body, status, code)
		if strings.Contains(body, "sk-") {
			t.Errorf("the answer shows a key: %s", body)
		}
	}
	f("Bearer sk-one", 200)
	f("sk-one", 200)
	f("bearer sk-one", 200)
	f("BEARER sk-two", 200)
	f("Bearer   sk-two", 200)
	f("", 401)
	f("Bearer", 401)
	f("Bearer sk-three", 401)
	f("sk-on", 401)
	f("sk-one2", 401)
	f("Basic sk-one", 401)
	f("Bearer Bearer sk-one", 401)
	f("Bearersk-one", 401)
	if n := int(asked.Load()); n != good {
		t.Errorf("the engine was asked %d times, want %d", n, good)
	}
	series := func(code, key string) float64 {
		return r.metric(`penstock_requests_total{route="/v1/completions",code="` + code + `",key="` + key + `"}`)
	}
	r.until("the requests to be counted", func() bool {
		return series("200", "ann") == 3 && series("200", "bob") == 2 && series("401", "") == 8
	})
	if n := r.metric(`penstock_request_errors_total{reason="auth"}`); n != 8 {
		t.Errorf("%v auth errors counted, want 8", n)
	}
}

func TestStrangersBodyIsNotWaitedFor(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), withKeys(keyOf("ann", "sk-one")))
	p := r.dial()
	p.line("POST", "/v1/completions", "Content-Length: 1000000")
	resp, body := p.whole()
	expect(t, resp, body, 401, "invalid_api_key")
	if !resp.Close {
		t.Error("the connection is said to live on, with a body still to come")
	}
}

func TestModelThatAKeyMayNotUse(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), withKeys(keyOf("all", "sk-all"), keyOf("some", "sk-some", "m", "gone")))
	r.until("the models to be known", func() bool { return len(r.sched.Models()) == 1 })
	f := func(key, model string, status int, code string) {
		t.Helper()
		before := asked.Load()
		resp, body := r.do(`{"model":"`+model+`","prompt":"x"}`, "Authorization: "+key)
		expect(t, resp, body, status, code)
		if went := asked.Load() != before; went != (status == 200) {
			t.Errorf("went to the engine: %v", went)
		}
	}
	f("sk-some", "m", 200, "")
	f("sk-some", "n", 403, "model_not_allowed") // and not 404, which would say what there is
	f("sk-some", "", 403, "model_not_allowed")
	f("sk-some", "gone", 404, "model_not_found")
	f("sk-all", "n", 404, "model_not_found")
	f("sk-all", "", 200, "")
	resp, body := r.do(`{"prompt":"x"}`, "Authorization: sk-some")
	expect(t, resp, body, 403, "model_not_allowed")
	if !strings.Contains(body, `"param":"model"`) {
		t.Errorf("the error does not name the field: %s", body)
	}
}

func TestModelOfAFormIsJudgedToo(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), withKeys(keyOf("some", "sk-some", "m")))
	f := func(model string, status int, code string) {
		t.Helper()
		var form strings.Builder
		w := multipart.NewWriter(&form)
		w.WriteField("model", model)
		w.WriteField("file", "RIFF")
		w.Close()
		p := r.dial()
		defer p.Close()
		p.request("POST", "/v1/audio/transcriptions", form.String(), "Authorization: sk-some", "Content-Type: "+w.FormDataContentType())
		resp, body := p.whole()
		expect(t, resp, body, status, code)
	}
	f("m", 200, "")
	f("n", 403, "model_not_allowed")
	if asked.Load() != 1 {
		t.Errorf("the engine was asked %d times, want 1", asked.Load())
	}
}

func TestModelsAreTheKeysOwn(t *testing.T) {
	m, n := newEngine(t, ok), newEngine(t, ok)
	n.models = "n"
	r := start(t, instances(m.url, n.url), withKeys(keyOf("all", "sk-all"), keyOf("some", "sk-some", "n", "x")))
	r.until("the models to be known", func() bool { return len(r.sched.Models()) == 2 })
	f := func(key string, want ...string) {
		t.Helper()
		resp, body := r.call("GET", "/v1/models", "Authorization: Bearer "+key)
		ids := regexp.MustCompile(`"id":"([^"]*)"`).FindAllStringSubmatch(body, -1)
		var got []string
		for _, id := range ids {
			got = append(got, id[1])
		}
		if resp.StatusCode != 200 || strings.Join(got, " ") != strings.Join(want, " ") || !strings.HasPrefix(body, `{"object":"list"`) {
			t.Errorf("%s: %d %s, want %v", key, resp.StatusCode, body, want)
		}
	}
	f("sk-all", "m", "n")
	f("sk-some", "n")
	resp, body := r.call("GET", "/v1/models")
	expect(t, resp, body, 401, "invalid_api_key")
}

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

func TestDecisionIsExplainedToWhoMayAsk(t *testing.T) {
	e := newEngine(t, ok)
	may := keyOf("may", "sk-may")
	may.Explain = true
	closed := start(t, instances(e.url), withKeys(may, keyOf("not", "sk-not")))
	open := start(t, instances(e.url), nil)
	shape := regexp.MustCompile(`^instance=a; policy=round-robin; reason=[^;]+; degraded=none; pending_ms=\d+$`)
	f := func(r *rig, want bool, headers ...string) {
		t.Helper()
		resp, body := r.do(ask, headers...)
		expect(t, resp, body, 200, "")
		if got := resp.Header.Get("X-Penstock-Decision"); shape.MatchString(got) != want || !want && got != "" {
			t.Errorf("%v: %q", headers, got)
		}
	}
	f(closed, true, "Authorization: sk-may", "X-Penstock-Explain: 1")
	f(closed, false, "Authorization: sk-may", "X-Penstock-Explain: 0")
	f(closed, false, "Authorization: sk-may")
	f(closed, false, "Authorization: sk-not", "X-Penstock-Explain: 1")
	f(open, true, "X-Penstock-Explain: 1")
	f(open, false)
}

func TestRequestID(t *testing.T) {
	seen := make(chan string, 1)
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header.Get("X-Request-Id")
		w.Header().Set("X-Request-Id", "the-engines-own")
		ok(w, r)
	})
	r := start(t, instances(e.url), nil)
	fresh := regexp.MustCompile(`^[0-9a-f]{32}$`)
	f := func(sent string, taken bool) {
		t.Helper()
		var headers []string
		if sent != "" {
			headers = append(headers, "X-Request-Id: "+sent)
		}
		resp, body := r.do(ask, headers...)
		expect(t, resp, body, 200, "")
		ids := resp.Header.Values("X-Request-Id")
		if len(ids) != 1 || taken && ids[0] != sent || !taken && !fresh.MatchString(ids[0]) {
			t.Errorf("sent %q, got %q", sent, ids)
		}
		if up := <-seen; up != ids[0] {
			t.Errorf("the engine got %q, the client %q", up, ids)
		}
		refused, _ := r.call("GET", "/nonsense", headers...)
		if id := refused.Header.Get("X-Request-Id"); taken && id != sent || !taken && !fresh.MatchString(id) {
			t.Errorf("sent %q, a refusal has %q", sent, id)
		}
	}
	f("", false)
	f("a", true)
	f("Az09._:-", true)
	f(strings.Repeat("x", 128), true)
	f(strings.Repeat("x", 129), false)
	f("a b", false)
	f("a/b", false)
	f("ä", false)
	f(`a"b`, false)
	first, _ := r.call("GET", "/health")
	second, _ := r.call("GET", "/health")
	if a, b := first.Header.Get("X-Request-Id"), second.Header.Get("X-Request-Id"); a == b || a == "" {
		t.Errorf("two requests have the ids %q and %q", a, b)
	}
}
