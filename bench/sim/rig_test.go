package sim

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

// rig is some instances and a client of them.
type rig struct {
	*Fleet
	t      testing.TB
	client http.Client
}

// newRig starts engines that answer at once, unless change says otherwise, and
// asserts at the end of the test that nothing of them is left.
func newRig(t testing.TB, change func(c *Config)) *rig {
	t.Helper()
	before := runtime.NumGoroutine()
	c := DefaultConfig()
	c.Listen, c.Profile = "127.0.0.1:0", "instant"
	if change != nil {
		change(&c)
	}
	f, err := Start(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Fleet: f, t: t, client: http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		r.until("its goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	})
	return r
}

// until waits for what no channel tells.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within 20 s: %s", what)
		}
	}
}

func (r *rig) url(path string) string { return r.URLs()[0] + path }

func (r *rig) stats() Stats { return r.Instances()[0].Stats() }

// try sends a request; body "" is a GET.
func (r *rig) try(method, path, body string, headers ...string) (*http.Response, error) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url(path), strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("X-Request-Id", "r1")
	for n := 0; n < len(headers); n += 2 {
		request.Header.Set(headers[n], headers[n+1])
	}
	return r.client.Do(request)
}

// do sends a request and reads its whole answer.
func (r *rig) do(method, path, body string, headers ...string) (*http.Response, string) {
	r.t.Helper()
	response, err := r.try(method, path, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatalf("%s %s: after %q: %v", method, path, b, err)
	}
	return response, string(b)
}

func (r *rig) get(path string) string {
	r.t.Helper()
	response, body := r.do("GET", path, "")
	if response.StatusCode != 200 {
		r.t.Fatalf("GET %s: %s: %s", path, response.Status, body)
	}
	return body
}

func (r *rig) post(path, body string) string {
	r.t.Helper()
	response, got := r.do("POST", path, body)
	if response.StatusCode != 200 {
		r.t.Fatalf("POST %s: %s: %s", path, response.Status, got)
	}
	return got
}

// inject makes the n-th instance fail, over HTTP.
func (r *rig) inject(fault string) {
	r.t.Helper()
	r.post("/_sim/fault", fault)
}

// stream is an answer that is read event by event.
type stream struct {
	*rig
	response *http.Response
	lines    *bufio.Reader
}

func (r *rig) open(path, body string) *stream {
	r.t.Helper()
	response, err := r.try("POST", path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if response.StatusCode != 200 {
		r.t.Fatalf("POST %s: %s", path, response.Status)
	}
	return &stream{r, response, bufio.NewReader(response.Body)}
}

// next returns the data of the next event.
func (s *stream) next() (string, error) {
	line, err := s.lines.ReadString('\n')
	if err != nil {
		return "", err
	}
	if blank, err := s.lines.ReadString('\n'); err != nil || blank != "\n" {
		s.t.Fatalf("after %q: %q, %v, want a blank line", line, blank, err)
	}
	return strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "data: "), nil
}

// rest reads to the end; err is how it ended.
func (s *stream) rest() (events []string, err error) {
	for {
		event, err := s.next()
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}

func (s *stream) leave() { s.response.Body.Close() }

// chunk is what the tests look at in an event or an answer, of any engine.
type chunk struct {
	Choices []struct {
		Index   int
		Text    string
		Delta   struct{ Role, Content string }
		Message struct{ Content string }
		Finish  string `json:"finish_reason"`
		Stop    string `json:"stop_reason"`
	}
	Usage *struct {
		Prompt     int `json:"prompt_tokens"`
		Completion int `json:"completion_tokens"`
		Total      int `json:"total_tokens"`
		Details    struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
	Error struct{ Code string }
}

func parse(t testing.TB, event string) (c chunk) {
	t.Helper()
	if err := json.Unmarshal([]byte(event), &c); err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	return c
}

// said joins the text of all events.
func said(t testing.TB, events []string) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		if e != "[DONE]" {
			for _, c := range parse(t, e).Choices {
				b.WriteString(c.Text + c.Delta.Content)
			}
		}
	}
	return b.String()
}

// raw is one connection without HTTP on the client's side.
func (r *rig) raw(request string) net.Conn {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.URLs()[0], "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		r.t.Fatal(err)
	}
	return conn
}
