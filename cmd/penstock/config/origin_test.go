package config

import (
	"reflect"
	"testing"
)

func TestOriginsAreAsBrowsersSayThem(t *testing.T) {
	f := func(written, want string) {
		t.Helper()
		c := mustRead(t, one+"websocket: {origins: [\""+written+"\"]}", Flags{})
		if got := c.Gateway.WebSocket.Origins; !reflect.DeepEqual(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", written, got, want)
		}
	}
	f("https://chat.example", "https://chat.example")
	f("HTTPS://Chat.Example", "https://chat.example")
	f("https://chat.example:443", "https://chat.example")
	f("http://chat.example:80", "http://chat.example")
	f("https://chat.example:80", "https://chat.example:80")
	f("http://localhost:3000", "http://localhost:3000")
	f("http://localhost:03000", "http://localhost:3000")
	f("https://[2001:DB8:0::1]:443", "https://[2001:db8::1]")
	f("http://192.0.2.7:8080", "http://192.0.2.7:8080")
	f("https://xn--bcher-kva.example", "https://xn--bcher-kva.example")
	f("chrome-extension://abcdefgh", "chrome-extension://abcdefgh")

	c := mustRead(t, one+"websocket: {origins: \"https://A\"}", Flags{})
	if got := c.Gateway.WebSocket.Origins; !reflect.DeepEqual(got, []string{"https://a"}) {
		t.Errorf("one alone: got %q", got)
	}
}

// Each of these would shut out the page that was meant, without a word.
func TestOriginsThatNoPageHasAreRefused(t *testing.T) {
	f := func(written, want string) {
		t.Helper()
		_, err := read(one+"websocket:\n  origins:\n    - https://chat.example\n    - \""+written+"\"", Flags{})
		refused(t, err, `p.yaml:5: websocket.origins[1]: "`+written+`": `+want)
	}
	const need = ": need the origin of a page, such as https://chat.example"
	f("*", "wildcards are not read, and without this key all pages may connect"+need)
	f("https://*.example", "wildcards are not read, and without this key all pages may connect"+need)
	f("null", "pages that say null (a file's, a sandbox's) cannot be told apart"+need)
	f("wss://chat.example", "write https://chat.example, as the page names itself")
	f("WS://Chat.example:8080/v1", "write http://chat.example:8080, as the page names itself")
	f("chat.example", "write https://chat.example, as the page names itself")
	f("chat.example:8443", "write https://chat.example:8443, as the page names itself")
	f("https://chat.example/", "write https://chat.example: an origin has no path and no slash at its end")
	f("https://chat.example/app", "write https://chat.example: an origin has no path and no slash at its end")
	f("https://chat.example?a", "write https://chat.example: an origin has no path and no slash at its end")
	f("https://chat.example#", "write https://chat.example: an origin has no path and no slash at its end")
	f("https://me@chat.example", "no origin"+need)
	f("https://", "no origin"+need)
	f("https://:443", "no origin"+need)
	f("https://chat.example:70000", "the port must be a number from 1 to 65535"+need)
	f("https://bücher.example", "browsers have no such host (names that are not ASCII are xn--… to them)"+need)
	f("https://a,https://b", "more than one, or a space: write several as a list"+need)
}

func TestPathsOfWebSocketsThatCannotBeAreRefused(t *testing.T) {
	f := func(written, want string) {
		t.Helper()
		_, err := read(one+"routes: {allow: [/mine, /deep/*]}\nwebsocket:\n  paths:\n    - /v1/echo\n    - \""+written+"\"", Flags{})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", written, err)
			}
			return
		}
		refused(t, err, "p.yaml:6: websocket.paths[1]: "+want)
	}
	f("/v1/realtime", "")
	f("/v1/*", "")
	f("/v1/audio/live", "") // the more exact one is asked first
	f("v1/live", `"v1/live" is no plain path: need one such as /v1/echo, with a slash first, no query and no spaces`)
	f("/v1/live?x=1", `"/v1/live?x=1" is no plain path: need one such as /v1/echo, with a slash first, no query and no spaces`)
	f("/v1/../live", `"/v1/../live" is no plain path: need one such as /v1/echo, without .., // and backslashes`)
	f("/v1//live", `"/v1//live" is no plain path: need one such as /v1/echo, without .., // and backslashes`)
	f("/v1/li*", `"/v1/li*": a * stands at the end, after a slash, for whatever follows, as in /v1/live/*`)
	f("/*/live", `"/*/live": a * stands at the end, after a slash, for whatever follows, as in /v1/live/*`)
	f("/v1/echo", `/v1/echo stands twice`)
	f("/mine", `/mine stands in routes.allow too: it can be one of the two`)
	f("/v1/chat/completions", `/v1/chat/completions is the router's own WebSocket, whose messages are requests: it cannot pass through`)
	f("/v1/models", `/v1/models is a path of the router's own, and no WebSocket`)
	f("/v1/audio/live/*", `/v1/audio/live/* lies under /v1/audio/*, which is routed already`)
	f("/deep/er/*", `/deep/er/* lies under /deep/*, which is routed already`)
	f("/api/predict/llm_group.llm_router_llm_gateway/v1/live", `/api/predict/llm_group.llm_router_llm_gateway/v1/live: write it without /api/predict/llm_group.llm_router_llm_gateway, under which it is served too`)

	_, err := read(one+"websocket: {paths: /v1/models}", Flags{})
	refused(t, err, "p.yaml:2: websocket.paths: /v1/models is a path of the router's own, and no WebSocket")
}
