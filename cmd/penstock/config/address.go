package config

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// maxSocketPath is the longest path that Linux's sockaddr_un takes.
const maxSocketPath = 107

// isListenAddress accepts host:port and unix:/path.
func isListenAddress(v value, s string) error {
	path, unix := strings.CutPrefix(s, "unix:")
	if !unix {
		return isHostPort(v, s, "8080")
	}
	if !strings.HasPrefix(path, "/") || len(path) > maxSocketPath {
		return v.errorf("%q: need unix: and an absolute path of at most %d bytes", s, maxSocketPath)
	}
	return nil
}

// isHostPort takes the port of its example from s where that is one alone.
func isHostPort(v value, s, example string) error {
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		example = s
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return v.errorf("%q: need host:port, such as 127.0.0.1:%s", s, example)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return v.errorf("%q: the port must be a number up to 65535", s)
	}
	return nil
}

func (c *Config) readAdmin(v value) error {
	if err := verbatim(&c.Admin)(v); err != nil {
		return err
	}
	return isHostPort(v, c.Admin, "8081")
}

// instanceURL checks an instance's URL and returns it in one form,
// http://host:port, with that host:port.
func instanceURL(v value, s string) (whole, hostPort string, err error) {
	if s == "" {
		return "", "", v.errorf("url is missing")
	}
	if whole, ok := withScheme(s); ok {
		return "", "", v.errorf("%q: write %s", s, whole)
	}
	u, parseErr := url.Parse(s)
	if parseErr != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", "", v.errorf("%q: need a URL such as http://10.0.0.11:8000", redact(s))
	}
	if u.Scheme == "https" {
		return "", "", v.errorf("%q: TLS to engines is not there yet: write http://", redact(s))
	}
	if u.User != nil {
		return "", "", v.errorf("%q: a key does not belong here: use api_key_file", redact(s))
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", v.errorf("%q: only host and port: the paths are the client's", s)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", v.errorf("%q: the port must be a number from 1 to 65535", s)
	}
	hostPort = net.JoinHostPort(strings.ToLower(u.Hostname()), port)
	return "http://" + hostPort, hostPort, nil
}

// withScheme makes a URL of host:port without one.
func withScheme(s string) (whole string, ok bool) {
	u, err := url.Parse("http://" + s)
	if err != nil || strings.Contains(s, "://") || u.Hostname() == "" || u.User != nil || u.Host != s {
		return "", false
	}
	return u.String(), true
}

// sameHost says whether who connects to a comes to who listens on b, the ports
// being equal.
func sameHost(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	return a == b || isLocal(a) && isLocal(b) && (isAny(a) || isAny(b) || a == "localhost" || b == "localhost")
}

// isLocal says whether who connects to host stays on this machine.
func isLocal(host string) bool {
	return host == "localhost" || isAny(host) || net.ParseIP(host).IsLoopback()
}

func isAny(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }

// redact hides the secrets that a URL may hold: its password, and the values of
// its query.
func redact(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "a URL that cannot be read"
	}
	query := u.Query()
	for name := range query {
		query.Set(name, "xxxxx")
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}
