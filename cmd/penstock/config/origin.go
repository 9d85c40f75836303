package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// ports are those that browsers leave out of an origin.
var ports = map[string]string{"http": "80", "https": "443"}

// originHost is what a browser makes of a name: nothing else can match.
var originHost = regexp.MustCompile(`^[a-z0-9._-]+$`)

// origins takes a list of pages' origins, or one alone.
func origins(to *[]string) reader {
	return func(v value) error {
		var written []string
		*to = nil
		return texts(&written, func(v value, s string) error {
			origin, err := originOf(v, s)
			*to = append(*to, origin)
			return err
		})(v)
	}
}

// originOf is an origin as browsers say it, in small letters and without the
// scheme's own port. What they never say would shut out the page that was meant.
func originOf(v value, s string) (string, error) {
	need := func(why string) (string, error) {
		return "", v.errorf("%q: %s: need the origin of a page, such as https://chat.example", brief(s), why)
	}
	if strings.Contains(s, "*") {
		return need("wildcards are not read, and without this key all pages may connect")
	}
	if strings.ContainsAny(s, ", ") {
		return need("more than one, or a space: write several as a list")
	}
	if s == "null" {
		return need("pages that say null (a file's, a sandbox's) cannot be told apart")
	}
	if whole, ok := asPage(s); ok {
		return "", v.errorf("%q: write %s, as the page names itself", brief(s), whole)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Hostname() == "":
		return need("no origin")
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return "", v.errorf("%q: write %s://%s: an origin has no path and no slash at its end", brief(s), u.Scheme, u.Host)
	}
	host, ok := hostOf(u.Hostname())
	if !ok {
		return need("browsers have no such host (names that are not ASCII are xn--… to them)")
	}
	port, ok := portOf(u.Port(), ports[u.Scheme])
	if !ok {
		return need("the port must be a number from 1 to 65535")
	}
	return u.Scheme + "://" + host + port, nil
}

// asPage is what was meant by the URL of a WebSocket, or by a host alone.
func asPage(s string) (whole string, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case found && strings.EqualFold(scheme, "ws"):
		scheme = "http"
	case found && strings.EqualFold(scheme, "wss"):
		scheme = "https"
	case !found:
		scheme, rest = "https", s
	default:
		return "", false
	}
	u, err := url.Parse(scheme + "://" + rest)
	if err != nil || u.Host == "" || u.User != nil {
		return "", false
	}
	return scheme + "://" + strings.ToLower(u.Host), true
}

func hostOf(name string) (string, bool) {
	name = strings.ToLower(name)
	if ip, err := netip.ParseAddr(name); err == nil && ip.Is6() {
		return "[" + ip.String() + "]", ip.Zone() == ""
	}
	return name, originHost.MatchString(name)
}

// portOf is :port, or nothing for the usual one.
func portOf(port, usual string) (string, bool) {
	if port == "" {
		return "", true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", false
	}
	if port = strconv.FormatUint(n, 10); port == usual {
		return "", true
	}
	return net.JoinHostPort("", port), true
}
