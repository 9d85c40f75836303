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

// targetOf reads the URL of an endpoint: of a server, of a prefix, or with the
// /v1 that OpenAI's clients want in it.
func targetOf(s string) (target, error) {
	if s == "" {
		return target{}, fmt.Errorf("url: missing, such as http://127.0.0.1:8080")
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return target{}, fmt.Errorf("url: need one such as http://127.0.0.1:8080")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return target{}, fmt.Errorf("url: only scheme, host, port and path; a key goes into api-key")
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

// url is that of one of the API's paths.
func (t *target) url(path string) string { return t.base + path }
