package load

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// target is where requests go.
type target struct {
	tls  bool
	addr string // host:port to connect to
	base string // URL that /v1/… is appended to
}

// endpoints are paths below /v1 that people have at hand where the server's URL is
// wanted.
var endpoints = []string{"/chat/completions", "/completions", "/responses", "/models", "/realtime"}

// targetOf reads the URL of an endpoint: of a server, of a prefix, or with the
// /v1 that OpenAI's clients want in it; a WebSocket's too, where sockets are.
func targetOf(s string, sockets bool) (target, error) {
	if s == "" {
		return target{}, fmt.Errorf("url: missing, such as http://127.0.0.1:8080")
	}
	u, err := url.Parse(s)
	if err == nil && (u.Scheme == "ws" || u.Scheme == "wss") {
		if u.Scheme = "http" + strings.TrimPrefix(u.Scheme, "ws"); !sockets {
			return target{}, fmt.Errorf("url: write %s, or add --websocket", serverOf(u))
		}
	}
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return target{}, fmt.Errorf("url: need one such as http://127.0.0.1:8080")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return target{}, fmt.Errorf("url: only scheme, host, port and path; a key goes into api-key")
	}
	if server := serverOf(u); len(server) < len(u.Scheme+"://"+u.Host+u.Path) {
		return target{}, fmt.Errorf("url: write %s: --endpoint says the rest", server)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	path := strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), "/v1")
	return target{
		tls:  u.Scheme == "https",
		addr: net.JoinHostPort(u.Hostname(), port),
		base: u.Scheme + "://" + u.Host + path,
	}, nil
}

// serverOf is a URL without an endpoint's path.
func serverOf(u *url.URL) string {
	path := u.Path
	for _, e := range endpoints {
		path = strings.TrimSuffix(path, "/v1"+e)
	}
	return u.Scheme + "://" + u.Host + path
}

// url is that of one of the API's paths.
func (t *target) url(path string) string { return t.base + path }
