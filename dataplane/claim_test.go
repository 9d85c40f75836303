package dataplane

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"penstock/scheduler"
)

// limited is the key that these tests use, and the header that shows it.
func limited(change func(*Key)) func(*Config, *scheduler.Config) {
	k := keyOf("ann", "sk-one")
	change(&k)
	return withKeys(k)
}

const asAnn = "Authorization: Bearer sk-one"

// ann is the limiter of that key.
func (r *rig) ann() *limiter { return &r.g.limiters[0] }

// clear waits until nothing of ann's is in flight.
func (r *rig) clear() {
	r.t.Helper()
	r.until("nothing to be in flight", func() bool {
		return r.metric(`penstock_key_requests_in_flight{key="ann"}`) == 0 && r.metric("penstock_gateway_requests") == 0
	})
}

func TestKeyOverItsRequestsIsRefused(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), limited(func(k *Key) { k.RequestsPerMinute = 2 }))
	for _, left := range []string{"1", "0"} {
		resp, body := r.do(ask, asAnn)
		expect(t, resp, body, 200, "")
		if got := resp.Header.Get("X-Ratelimit-Remaining-Requests"); got != left || resp.Header.Get("X-Ratelimit-Limit-Requests") != "2" {
			t.Errorf("%s requests are said to be left, want %s", got, left)
		}
		if got := resp.Header.Get("X-Ratelimit-Limit-Tokens"); got != "" {
			t.Errorf("a limit of %s tokens is said, there is none", got)
		}
	}
	p := r.dial()
	for range 2 { // on one connection, which goes on
		p.post(ask, asAnn)
		resp, body := p.whole()
		expect(t, resp, body, 429, "rate_limited")
		if s, _ := strconv.Atoi(resp.Header.Get("Retry-After")); s < 1 || s > 30 {
			t.Errorf("Retry-After is %q, want 1 to 30", resp.Header.Get("Retry-After"))
		}
		if got := resp.Header.Get("X-Ratelimit-Remaining-Requests"); got != "0" {
			t.Errorf("%s requests are said to be left, want 0", got)
		}
		for _, w := range []string{`"type":"rate_limit_error"`, "the key ann", "2 requests", "requests_per_minute", "try again in "} {
			if !strings.Contains(body, w) {
				t.Errorf("%s lacks %s", body, w)
			}
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("the engine was asked %d times, want 2", n)
	}
	r.clear()
	for series, want := range map[string]float64{
		`penstock_key_limited_total{key="ann",limit="requests"}`:  2,
		`penstock_key_limited_total{key="ann",limit="tokens"}`:    0,
		`penstock_key_limited_total{key="ann",limit="in_flight"}`: 0,
		`penstock_key_tokens_total{key="ann",kind="prompt"}`:      6,
		`penstock_key_tokens_total{key="ann",kind="generation"}`:  4,
		`penstock_request_errors_total{reason="rate_limited"}`:    2,
	} {
		if got := r.metric(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

func TestWhatCountsAsARequest(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), limited(func(k *Key) { k.RequestsPerMinute = 3 }))
	f := func(path string, status int) {
		t.Helper()
		if resp, body := r.call("GET", path, asAnn); resp.StatusCode != status {
			t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, body, status)
		}
	}
	for range 5 {
		f("/health", 200)
		f("/ping", 200)
		f("/nowhere", 404)
	}
	f("/v1/models", 200)
	f("/v1/models", 200)
	f("/v1/models", 200)
	f("/v1/models", 429)
	f("/health", 200)
}

func TestKeysHaveLimitsOfTheirOwn(t *testing.T) {
	ann, bob := keyOf("ann", "sk-one"), keyOf("bob", "sk-two")
	ann.RequestsPerMinute, bob.RequestsPerMinute = 1, 1
	r := start(t, instances(newEngine(t, ok).url), withKeys(ann, bob))
	f := func(key string, status int) {
		t.Helper()
		if resp, body := r.do(ask, "Authorization: "+key); resp.StatusCode != status {
			t.Errorf("%s: %d %s, want %d", key, resp.StatusCode, body, status)
		}
	}
	f("sk-one", 200)
	f("sk-one", 429)
	f("sk-two", 200)
	f("sk-two", 429)
	f("sk-three", 401)
}

func TestKeyOverItsRequestsInFlightIsRefused(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, one(instances(e.url)), limited(func(k *Key) { k.MaxInFlight = 2 }))
	first, held := r.dial(), r.dial()
	first.post(ask, asAnn)
	<-came
	held.post(ask, asAnn)
	r.until("the second to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
	if n := r.metric(`penstock_key_requests_in_flight{key="ann"}`); n != 2 {
		t.Errorf("%v in flight, want 2: who is held is", n)
	}
	resp, body := r.do(ask, asAnn)
	expect(t, resp, body, 429, "rate_limited")
	if got := resp.Header.Get("Retry-After"); got != "1" || !strings.Contains(body, "max_in_flight") {
		t.Errorf("Retry-After %q, %s", got, body)
	}
	held.Close()
	r.until("the held one to be gone", func() bool { return r.metric(`penstock_key_requests_in_flight{key="ann"}`) == 1 })
	close(release)
	first.whole()
	resp, body = r.do(ask, asAnn)
	expect(t, resp, body, 200, "")
}

// A client that asks for one thing after another, each on whatever connection
// it likes, never has two in flight.
func TestPlaceIsFreeWhenTheAnswerIsRead(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if strings.Contains(string(b), "long") {
			io.WriteString(w, strings.Repeat(" ", 100_000))
		}
		ok(w, r)
	})
	r := start(t, instances(e.url), limited(func(k *Key) { k.MaxInFlight = 1 }))
	p := r.dial()
	for range 200 {
		for _, body := range []string{ask, `{"prompt":"long"}`, `{"broken`, ""} {
			if body == "" {
				p.line("GET", "/v1/models", asAnn)
			} else {
				p.post(body, asAnn)
			}
			p.whole()
			if n := r.ann().inFlight.Load(); n != 0 {
				t.Fatalf("%s: %d in flight with the answer read", body, n)
			}
		}
	}
}

// [DONE] is the end for a client, though the framing's may come later.
func TestPlaceIsFreeWhenAStreamIsDone(t *testing.T) {
	release := make(chan struct{})
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		sse(w)
		event(w, `{"choices":[{"text":"x"}]}`)
		event(w, "[DONE]")
		<-release
	})
	r := start(t, instances(e.url), limited(func(k *Key) { k.MaxInFlight = 1 }))
	p := r.dial()
	p.post(askStream, asAnn)
	body := p.response().Body
	if _, err := io.ReadFull(body, make([]byte, len("data: {\"choices\":[{\"text\":\"x\"}]}\n\ndata: [DONE]\n\n"))); err != nil {
		t.Fatal(err)
	}
	if n := r.ann().inFlight.Load(); n != 0 {
		t.Errorf("%d in flight after [DONE]", n)
	}
	close(release)
	if _, err := io.ReadAll(body); err != nil {
		t.Error(err)
	}
}

func TestKeyOverItsTokensIsRefused(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"choices":[{"text":"hi"}],"usage":{"prompt_tokens":2,"completion_tokens":300}}`)
	})
	r := start(t, instances(e.url), limited(func(k *Key) { k.TokensPerMinute = 200 }))
	resp, body := r.do(ask, asAnn) // 2 and 5 tokens: so it seems
	expect(t, resp, body, 200, "")
	if got := resp.Header.Get("X-Ratelimit-Remaining-Tokens"); got != "193" || resp.Header.Get("X-Ratelimit-Limit-Tokens") != "200" {
		t.Errorf("%s tokens are said to be left, want 193", got)
	}
	resp, body = r.do(ask, asAnn)
	expect(t, resp, body, 429, "rate_limited")
	if s, _ := strconv.Atoi(resp.Header.Get("Retry-After")); s < 20 || s > 33 { // 102 overdrawn and 7 needed, of 3.3 a second
		t.Errorf("Retry-After is %q, want 33 or little less", resp.Header.Get("Retry-After"))
	}
	for _, w := range []string{"the key ann", "200 tokens a minute", "tokens_per_minute", "may need 7", "0 are left"} {
		if !strings.Contains(body, w) {
			t.Errorf("%s lacks %s", body, w)
		}
	}
	if n := r.metric(`penstock_key_limited_total{key="ann",limit="tokens"}`); n != 1 {
		t.Errorf("%v refusals counted, want 1", n)
	}
	if resp, body := r.call("GET", "/v1/models", asAnn); resp.StatusCode != 200 {
		t.Errorf("a list of models costs no tokens: %s", body)
	}
}

// Whatever becomes of a request, what it took is given back, and what it used
// is charged, once.
func TestRequestIsSettledOnce(t *testing.T) {
	const base = 30 * second // so long the buckets need anyway: no refill blurs what is charged
	f := func(name string, list []scheduler.InstanceConfig, send func(r *rig), requests, prompt, output int64, change ...func(*Config, *scheduler.Config)) {
		t.Run(name, func(t *testing.T) {
			r := start(t, list, func(c *Config, s *scheduler.Config) {
				limited(func(k *Key) {
					k.RequestsPerMinute, k.TokensPerMinute, k.MaxInFlight, k.Models = 600, 600_000, 5, []string{"m", "gone"}
				})(c, s)
				for _, f := range change {
					f(c, s)
				}
			})
			l := r.ann()
			at := r.g.now() + base
			l.requests.full.Store(at)
			l.tokens.full.Store(at)
			send(r)
			r.until("the request to be counted", func() bool {
				n := 0.0
				_, series := r.page()
				for _, key := range keysOf(series, "penstock_requests_total{") {
					n += r.metric(key)
				}
				return n >= 1
			})
			r.clear()
			if got := l.requests.full.Load() - at; got != l.requests.price(requests) {
				t.Errorf("%v requests are charged, want %d", float64(got)/float64(l.requests.price(1)), requests)
			}
			if got := l.tokens.full.Load() - at; got != l.tokens.price(prompt+output) {
				t.Errorf("%v tokens are charged, want %d", float64(got)/float64(l.tokens.price(1)), prompt+output)
			}
			if p, g := int64(l.prompt.Load()), int64(l.generation.Load()); p != prompt || g != output {
				t.Errorf("%d and %d tokens are counted, want %d and %d", p, g, prompt, output)
			}
		})
	}
	says := func(status int, body string) []scheduler.InstanceConfig {
		return instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			io.WriteString(w, body)
		}).url)
	}
	streams := func(events int, last string, end func(http.ResponseWriter, *http.Request)) []scheduler.InstanceConfig {
		return instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			sse(w)
			for range events {
				event(w, `{"choices":[{"text":"x"}]}`)
			}
			if last != "" {
				event(w, last)
			}
			end(w, r)
		}).url)
	}
	posts := func(path, body string) func(*rig) {
		return func(r *rig) {
			p := r.dial()
			p.request("POST", path, body, asAnn, "Content-Type: application/json")
			resp, err := http.ReadResponse(p.r, nil)
			if err == nil {
				io.Copy(io.Discard, resp.Body)
			}
		}
	}
	const completions = "/v1/completions"
	const usage = `{"usage":{"prompt_tokens":7,"completion_tokens":40}}`
	leaves := func(r *rig) { // after two events
		p := r.dial()
		p.post(askStream, asAnn)
		body := p.response().Body
		if _, err := io.ReadFull(body, make([]byte, 2*len("data: {\"choices\":[{\"text\":\"x\"}]}\n\n"))); err != nil {
			t.Error(err)
		}
		p.Close()
	}
	done := func(w http.ResponseWriter, r *http.Request) { event(w, "[DONE]") }
	hangs := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	breaks := func(w http.ResponseWriter, r *http.Request) { reset(w, r) }

	f("usage", says(200, usage), posts(completions, ask), 1, 7, 40)
	f("no usage", says(200, `{"text":"hi"}`), posts(completions, ask), 1, 2, 5)
	f("no usage and no bound", says(200, `{"text":"hi"}`), posts(completions, `{"model":"m","prompt":"hello"}`), 1, 2, firstAnswer)
	f("several answers without usage", says(200, `{}`), posts(completions, `{"model":"m","prompt":"hello","max_tokens":5,"n":3}`), 1, 2, 15)
	f("embeddings without usage", says(200, `{}`), posts("/v1/embeddings", `{"model":"m","input":"hello"}`), 1, 2, 0)
	f("a stream with usage", streams(3, usage, done), posts(completions, askStream), 1, 7, 40)
	f("a stream without", streams(3, "", done), posts(completions, askStream), 1, 2, 3)
	f("a stream that is cut", streams(3, "", breaks), posts(completions, askStream), 1, 2, 3)
	f("a client that leaves its stream", streams(2, "", hangs), leaves, 1, 2, 2)
	f("the engine's 400", says(400, `{}`), posts(completions, ask), 1, 0, 0)
	f("the engine's 429", says(429, `{}`), posts(completions, ask), 0, 0, 0)
	f("the engine's 500", says(500, `{}`), posts(completions, ask), 0, 0, 0)
	f("the engine's 503", says(503, `{}`), posts(completions, ask), 0, 0, 0)
	f("no connection", instances(deadURL(t), deadURL(t)), posts(completions, ask), 0, 0, 0)
	f("a reset", instances(newEngine(t, reset).url), posts(completions, ask), 0, 0, 0)
	f("broken JSON", says(200, usage), posts(completions, `{"model":"m"`), 1, 0, 0)
	f("a model that it may not use", says(200, usage), posts(completions, `{"model":"n"}`), 1, 0, 0)
	f("a path that is not routed", says(200, usage), posts("/metrics", ask), 0, 0, 0)
	f("a large body", says(200, usage), posts(completions, padded(5000)), 0, 0, 0, bodyBytes(4000))
	f("a response that is asked for again", says(200, usage), func(r *rig) { r.call("GET", "/v1/responses/resp_1", asAnn) }, 1, 0, 0)
	f("the models", says(200, usage), func(r *rig) { r.call("GET", "/v1/models", asAnn) }, 1, 0, 0)
	f("a HEAD of the models", says(200, usage), func(r *rig) {
		p := r.dial()
		p.line("HEAD", "/v1/models", asAnn)
		p.answer("HEAD")
	}, 1, 0, 0)
	f("a body that never comes", says(200, usage), func(r *rig) {
		p := r.dial()
		p.line("POST", completions, asAnn, "Content-Length: 100")
		r.until("it to be in flight", func() bool { return r.ann().inFlight.Load() == 1 })
		p.Close()
	}, 1, 0, 0)
	f("a client that leaves before its answer", instances(newEngine(t, hangs).url), func(r *rig) {
		p := r.dial()
		p.post(ask, asAnn)
		r.until("the engine to have it", func() bool { return r.sched.Instances()[0].Status().InFlight == 1 })
		r.until("it to be sent", func() bool {
			r.g.calls.mu.Lock()
			c := r.g.calls.all[0]
			r.g.calls.mu.Unlock()
			return c.waitsFor.Load() != nil
		})
		p.Close()
	}, 1, 2, 0)
	f("a queue that is full", one(instances(newEngine(t, hangs).url)), func(r *rig) {
		other := r.dial()
		other.post(ask, "Authorization: sk-two")
		r.until("the engine to be full", func() bool { return r.sched.Instances()[0].Status().InFlight == 1 })
		posts(completions, ask)(r)
		other.Close()
	}, 0, 0, 0, func(c *Config, _ *scheduler.Config) {
		c.Queue.MaxSize = 0
		c.Auth.Keys = append(c.Auth.Keys, keyOf("bob", "sk-two"))
	})
	f("a client that leaves while it is held", one(instances(newEngine(t, hangs).url)), func(r *rig) {
		other := r.dial()
		other.post(ask, "Authorization: sk-two")
		r.until("the engine to be full", func() bool { return r.sched.Instances()[0].Status().InFlight == 1 })
		p := r.dial()
		p.post(ask, asAnn)
		r.until("it to be held", func() bool { return r.metric("penstock_gateway_pending") == 1 })
		p.Close()
		r.until("it to be gone", func() bool { return r.metric("penstock_gateway_pending") == 0 })
		other.Close()
	}, 1, 0, 0, func(c *Config, _ *scheduler.Config) { c.Auth.Keys = append(c.Auth.Keys, keyOf("bob", "sk-two")) })
}

// A retry is the same request.
func TestRetryIsChargedOnce(t *testing.T) {
	r := start(t, instances(deadURL(t), newEngine(t, ok).url), limited(func(k *Key) { k.RequestsPerMinute, k.TokensPerMinute = 600, 600_000 }))
	at := r.g.now() + 30*second
	r.ann().requests.full.Store(at)
	r.ann().tokens.full.Store(at)
	for range 4 {
		resp, body := r.do(ask, asAnn)
		expect(t, resp, body, 200, "")
	}
	r.clear()
	if got := r.ann().requests.full.Load() - at; got != r.ann().requests.price(4) {
		t.Errorf("%v requests are charged, want 4", float64(got)/float64(r.ann().requests.price(1)))
	}
	if got := r.ann().tokens.full.Load() - at; got != r.ann().tokens.price(20) {
		t.Errorf("%v tokens are charged, want 20", float64(got)/float64(r.ann().tokens.price(1)))
	}
}
