package admin

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// guard keeps the web's pages away. A browser on a machine that reaches this
// port sends here whatever any page tells it to, and a name of the page's owner
// may lead here (DNS rebinding). Programs send no Origin, and are not bothered.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch reads := r.Method == http.MethodGet || r.Method == http.MethodHead; {
		case !reads && isForeign(r):
			s.refuse(w, r, http.StatusForbidden, "foreign_origin", "a page of another site may change nothing here")
		case !s.trusts(r.Host) && !s.mayNameItself(r, reads):
			s.refuse(w, r, http.StatusForbidden, "unknown_host", r.Host+": this port does not know that name of its own: use its address, or the name in the configuration's admin:")
		case !reads && r.ContentLength != 0 && !isJSON(r):
			s.refuse(w, r, http.StatusUnsupportedMediaType, "unsupported_media_type", "need a body in JSON that says so: Content-Type: application/json")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// isForeign says whether a page of somebody else's made the request. Browsers
// name the origin of every request that is more than a GET.
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return true
	}
	origins := r.Header.Values("Origin")
	return slices.ContainsFunc(origins, func(o string) bool {
		u, err := url.Parse(o)
		return err != nil || !strings.EqualFold(u.Host, r.Host)
	})
}

// trusts says whether the Host header names this port. An address does: pages
// come by names.
func (s *Server) trusts(hostPort string) bool {
	host := hostOf(hostPort)
	if _, err := netip.ParseAddr(host); err == nil || host == "" || host == "localhost" {
		return true
	}
	return slices.Contains(s.names, host)
}

// mayNameItself says where any name will do: a token proves who asks, the pages
// for monitoring hold nothing, and who listens to the network is reached by
// names that only the network knows; nobody changes anything by these.
func (s *Server) mayNameItself(r *http.Request, reads bool) bool {
	if !reads {
		return s.Registration != nil && s.Registration.Token != "" && s.hasToken(r)
	}
	return !s.private || slices.Contains([]string{"/metrics", "/healthz", "/readyz"}, r.URL.Path)
}

// hostOf is the host in one form, without its port.
func hostOf(hostPort string) string {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = strings.Trim(hostPort, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// ownNames are the machine's, and the one that the port was configured with.
func ownNames(configured string) (names []string) {
	if host, err := os.Hostname(); err == nil && host != "" {
		short, _, _ := strings.Cut(host, ".")
		names = append(names, strings.ToLower(host), strings.ToLower(short))
	}
	if host := hostOf(configured); host != "" {
		names = append(names, host)
	}
	return names
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
