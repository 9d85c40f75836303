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

func TestDecisionIsExplainedToWhoMayAsk(t *testing.T) {
	e := newEngine(t, ok)
	may := keyOf("may", "sk-may")
	may.Explain = true
	closed := start(t, instances(e.url), withKeys(may, keyOf("not", "sk-not")))
	open := start(t, instances(e.url), nil)
	shape := regexp.MustCompile(`^instance=a; policy=round-robin; reason=[^;]+; degraded=none; predicted_ttft_ms=\d+\.\d; pending_ms=\d+$`)
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
