package dataplane

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"penstock/scheduler"
)

// showing is an engine that tells what head it got.
func showing(t *testing.T) (*engine, chan *http.Request) {
	got := make(chan *http.Request, 64)
	return newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		ok(w, r)
		got <- r
	}), got
}

func TestHopByHopHeadersOfARequestEndHere(t *testing.T) {
	e, got := showing(t)
	r := start(t, instances(e.url), nil)
	resp, body := r.do(ask, "Connection: X-Mine, keep-alive, TE", "X-Mine: 1", "Keep-Alive: timeout=5", "TE: trailers", "Upgrade: h2c",
		"Proxy-Authorization: Basic x", "Proxy-Connection: keep-alive", "Trailer: X-Sum", "X-Other: 1", "x-other: 2", "Accept-Encoding: gzip", "Cookie: a=b")
	expect(t, resp, body, 200, "")
	h := (<-got).Header
	for _, name := range []string{"Connection", "X-Mine", "Keep-Alive", "Te", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Trailer"} {
		if v, there := h[name]; there {
			t.Errorf("%s: %s was forwarded", name, v)
		}
	}
	if v := h["X-Other"]; len(v) != 2 || v[0] != "1" || v[1] != "2" || h.Get("Accept-Encoding") != "gzip" || h.Get("Cookie") != "a=b" || h.Get("Content-Type") != "application/json" {
		t.Errorf("what should pass did not: %v", h)
	}
}

func TestHopByHopHeadersOfAnAnswerEndHere(t *testing.T) {
	r := start(t, instances(newEngine(t, raw("HTTP/1.1 200 Fine\r\nConnection: X-Theirs, close\r\nX-Theirs: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\n"+
		"Set-Cookie: a\r\nSet-Cookie: b\r\nServer: uvicorn\r\nContent-Length: 2\r\n\r\n{}")).url), nil)
	p := r.dial()
	p.post(ask)
	resp, body := p.whole()
	for _, name := range []string{"Connection", "X-Theirs", "Keep-Alive", "Proxy-Authenticate"} {
		if v, there := resp.Header[name]; there {
			t.Errorf("%s: %s was forwarded", name, v)
		}
	}
	if v := resp.Header["Set-Cookie"]; len(v) != 2 || resp.Header.Get("Server") != "uvicorn" || resp.Status != "200 Fine" || body != "{}" || resp.Close {
		t.Errorf("what should pass did not: %s %v %q", resp.Status, resp.Header, body)
	}
	p.alive() // that the engine closes is no reason for us
}

func TestEngineSeesItsOwnHostAndWhereFrom(t *testing.T) {
	e, got := showing(t)
	list := instances(e.url + "/base/")
	r := start(t, list, nil)
	f := func(wantFor, wantProto string, headers ...string) {
		t.Helper()
		resp, body := r.do(ask, append(headers, "User-Agent: me")...)
		expect(t, resp, body, 200, "")
		for q := range got {
			if !strings.HasPrefix(q.URL.Path, "/base/v1/comp") { // the base is the probes' too
				continue
			}
			if "http://"+q.Host != e.url || q.RequestURI != "/base/v1/completions" || q.UserAgent() != "me" {
				t.Errorf("Host %q, %s, User-Agent %q", q.Host, q.RequestURI, q.UserAgent())
			}
			if v := q.Header["X-Forwarded-For"]; len(v) != 1 || v[0] != wantFor {
				t.Errorf("X-Forwarded-For: %q, want %q", v, wantFor)
			}
			if v := q.Header["X-Forwarded-Proto"]; len(v) != 1 || v[0] != wantProto {
				t.Errorf("X-Forwarded-Proto: %q, want %q", v, wantProto)
			}
			return
		}
	}
	f("127.0.0.1", "http")
	f("10.1.2.3, 127.0.0.1", "https", "X-Forwarded-For: 10.1.2.3", "X-Forwarded-Proto: https")
	f("10.1.2.3, 10.4.5.6, 127.0.0.1", "http", "X-Forwarded-For: 10.1.2.3", "X-Forwarded-For: 10.4.5.6")
}

func TestClientsKeyGoesOnWhereItShould(t *testing.T) {
	f := func(engineKey, own, sent, want string) {
		t.Helper()
		e, got := showing(t)
		list := instances(e.url)
		list[0].APIKey = own
		r := start(t, list, func(c *Config, _ *scheduler.Config) { c.Auth.EngineKey = engineKey })
		resp, body := r.do(ask, "Authorization: "+sent, "X-Api-Key: sk-anthropic")
		expect(t, resp, body, 200, "")
		seen := (<-got).Header
		if v := seen.Values("Authorization"); strings.Join(v, "|") != want {
			t.Errorf("%s, own key %q: the engine saw %q, want %q", engineKey, own, v, want)
		}
		if passes := engineKey == EngineKeyPassthrough && own == ""; (seen.Get("X-Api-Key") != "") != passes {
			t.Errorf("%s, own key %q: X-Api-Key passes: %v", engineKey, own, !passes)
		}
	}
	f(EngineKeyPassthrough, "", "Bearer sk-one", "Bearer sk-one")
	f(EngineKeyPassthrough, "", "sk-one", "sk-one")
	f(EngineKeyPassthrough, "sk-own", "Bearer sk-one", "Bearer sk-own")
	f(EngineKeyDrop, "", "Bearer sk-one", "")
	f(EngineKeyDrop, "sk-own", "Bearer sk-one", "Bearer sk-own")
}

func TestRequestWithoutABodyHasNoLength(t *testing.T) {
	e, got := showing(t)
	r := start(t, instances(e.url), nil)
	f := func(method, target, want string) {
		t.Helper()
		resp, body := r.call(method, target)
		expect(t, resp, body, 200, "")
		if v := strings.Join((<-got).Header["Content-Length"], "|"); v != want {
			t.Errorf("%s: Content-Length %q, want %q", method, v, want)
		}
	}
	f("GET", "/v1/responses/resp_1", "")
	f("DELETE", "/v1/responses/resp_1", "")
	f("POST", "/v1/responses/resp_1/cancel", "0")
}

func TestEnginesErrorsPassByteForByte(t *testing.T) {
	f := func(status int, head, framed, want string) {
		t.Helper()
		r := start(t, instances(newEngine(t, raw(fmt.Sprintf("HTTP/1.1 %d Engine's Word\r\n%s\r\n%s", status, head, framed))).url), nil)
		resp, body := r.do(askStream)
		if resp.StatusCode != status || resp.Status != fmt.Sprintf("%d Engine's Word", status) || body != want || resp.Header.Get("X-Penstock-Error") != "" {
			t.Errorf("got %s %q %v, want %q", resp.Status, body, resp.Header, want)
		}
	}
	const broken = "{\"error\": \x00\xff\r\n  not even JSON"
	for _, status := range []int{400, 401, 404, 413, 422, 429, 500, 501, 503} {
		f(status, fmt.Sprintf("Content-Length: %d\r\n", len(broken)), broken, broken)
		f(status, "Transfer-Encoding: chunked\r\n", chunked(broken, 5), broken)
		f(status, "Connection: close\r\n", broken, broken)
	}
}

// An engine may refuse a large request by its head. What it had not read makes
// its close a reset, and ours must still find the answer.
func TestEngineThatAnswersBeforeItHasReadTheRequest(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw := hijack(w)
		rw.WriteString("HTTP/1.1 413 Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\n" + `{"no":"!"}`[:9])
		rw.Flush()
		c.Close()
	})
	r := start(t, instances(e.url), nil)
	for range 3 {
		resp, body := r.do(padded(2 << 20))
		if resp.StatusCode != 413 || body != `{"no":"!"` {
			t.Fatalf("got %d %q", resp.StatusCode, body)
		}
	}
	if s := r.sched.Instances()[0].State(); s != scheduler.Healthy && s != scheduler.Starting {
		t.Errorf("the instance is %v", s)
	}
}
