package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeEngine answers like an engine whose exporter is the Python client: the
// full page at /metrics, filtered by name[] at /metrics/. Whatever else it is
// not given is 404.
type fakeEngine struct {
	*httptest.Server

	mu      sync.Mutex
	page    string
	filters bool
	handle  func(w http.ResponseWriter, r *http.Request) bool // true: answered
	asked   []string                                          // path, "?" if there was a query
	missing []string                                          // … of what it has not
	bodies  map[string]string                                 // of other paths
	header  http.Header                                       // of the last request
}

func newFakeEngine(t testing.TB, page string) *fakeEngine {
	t.Helper()
	e := &fakeEngine{page: page, filters: true}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *fakeEngine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	path := r.URL.Path
	if r.URL.RawQuery != "" {
		path += "?"
	}
	e.header = r.Header.Clone()
	if body, ok := e.bodies[r.URL.Path]; ok {
		e.asked = append(e.asked, path)
		fmt.Fprint(w, body)
		return
	}
	switch names := r.URL.Query()["name[]"]; {
	case e.handle != nil && e.handle(w, r):
	case e.page == "", !strings.Contains(path, "/metrics"):
		e.missing = append(e.missing, path)
		w.WriteHeader(http.StatusNotFound)
		return
	case strings.HasSuffix(path, "/metrics/?") && e.filters:
		fmt.Fprint(w, filtered(e.page, names))
	default:
		fmt.Fprint(w, e.page)
	}
	e.asked = append(e.asked, path)
}

// filtered keeps the lines of page whose metric is one of names.
func filtered(page string, names []string) string {
	var kept strings.Builder
	for line := range strings.Lines(page) {
		for _, name := range names {
			rest, ok := strings.CutPrefix(line, name)
			if ok && (rest[0] == '{' || rest[0] == ' ') {
				kept.WriteString(line)
			}
		}
	}
	return kept.String()
}

// set changes the engine between scrapes.
func (e *fakeEngine) set(change func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change()
}

// took returns what was asked for since the last call and was there.
func (e *fakeEngine) took() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	asked := strings.Join(e.asked, " ")
	e.asked = nil
	return asked
}

// missed returns what was asked for in vain since the last call.
func (e *fakeEngine) missed() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	missing := strings.Join(e.missing, " ")
	e.missing = nil
	return missing
}

// canned is a server of one connection at a time that allocates nothing per
// request: it answers the i-th with the i-th answer, the last one for ever. An
// empty answer is a closed connection.
func canned(t testing.TB, answers ...string) (url string) {
	t.Helper()
	l := listen(t)
	raw := make([][]byte, len(answers))
	for i, a := range answers {
		raw[i] = []byte(a)
	}
	go func() {
		next := 0
		reader := bufio.NewReader(nil)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			reader.Reset(conn)
			for readHead(reader) {
				answer := raw[next]
				next = min(next+1, len(raw)-1)
				if len(answer) == 0 {
					break
				}
				if _, err := conn.Write(answer); err != nil {
					break
				}
			}
			conn.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// byPath is a server that allocates nothing per request: it answers by the
// path, and what it does not know with 404.
func byPath(l net.Listener, answers map[string]string) (url string) {
	raw := make(map[string][]byte, len(answers))
	for path, answer := range answers {
		raw[path] = []byte(answer)
	}
	missing := []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
	serve := func(conn net.Conn) {
		defer conn.Close()
		reader := bufio.NewReader(conn)
		for {
			line, err := reader.ReadSlice('\n')
			if err != nil {
				return
			}
			_, path, _ := bytes.Cut(line, []byte(" "))
			path = path[:bytes.IndexAny(path, " ?")]
			answer, ok := raw[string(path)]
			if !ok {
				answer = missing
			}
			if !readHead(reader) {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return "http://" + l.Addr().String()
}

func readHead(r *bufio.Reader) bool {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if len(line) == 2 {
			return true
		}
	}
}

func ok200(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// listen on a port of the loopback until the test ends.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func newTestClient(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second // of a machine under load; tests of it set their own
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serveOnce answers one request, which arrives in one piece, with an empty 200.
func serveOnce(conn net.Conn) bool {
	var head [1024]byte
	if _, err := conn.Read(head[:]); err != nil {
		return false
	}
	_, err := conn.Write([]byte(ok200("")))
	return err == nil
}

func chunk(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
