package admin

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/scheduler/telemetry"
)

// one is a page with a family that has labels and one that has none.
type one struct{}

func (one) Collect(w *telemetry.Writer) {
	w.Family("a", "gauge", "A.")
	w.Int("a", 1)
	w.Family("b", "gauge", "B.")
	w.Int("b", 2, "x", "{y}")
}

// patience bounds every wait; none is expected to last.
const patience = 20 * time.Second

// push runs p until the test has seen enough.
func push(t *testing.T, p *Push) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	return func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(patience):
			t.Error("the pushing does not end with its context")
		}
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

func TestPushedSeriesHaveTheLabels(t *testing.T) {
	got := make(chan string)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, err := io.ReadAll(z)
		if err != nil {
			t.Error(err)
		}
		select {
		case got <- r.Method + " " + r.URL.Path + "\n" + string(b):
		case <-r.Context().Done():
		}
	}))
	defer store.Close()
	stop := push(t, &Push{URLs: []string{store.URL + "/write"}, Every: 5 * time.Millisecond,
		Labels: map[string]string{"node": "gw-1", "a": `"q", {\`}, From: one{}, Log: quiet})
	want := `POST /write
# HELP a A.
# TYPE a gauge
a{a="\"q\", {\\",node="gw-1"} 1
# HELP b B.
# TYPE b gauge
b{a="\"q\", {\\",node="gw-1",x="{y}"} 2
`
	if page := receive(t, got, "a push"); page != want {
		t.Errorf("got\n%s, want\n%s", page, want)
	}
	stop()
}

// lines keeps the messages of a log.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(p))
	return len(p), nil
}

func TestAStoreThatIsAwayIsSaidOnce(t *testing.T) {
	pushes := make(chan int64)
	var count atomic.Int64
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := count.Add(1)
		if n <= 5 {
			http.Error(w, strings.Repeat("away ", 1000), http.StatusServiceUnavailable)
		}
		select {
		case pushes <- n:
		case <-r.Context().Done():
		}
	}))
	defer store.Close()
	var log lines
	withPassword := strings.Replace(store.URL, "http://", "http://u:secret@", 1)
	stop := push(t, &Push{URLs: []string{withPassword}, Every: 5 * time.Millisecond, From: one{}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for receive(t, pushes, "a push") < 8 {
	}
	stop()
	all := strings.Join(log.text, "")
	if len(log.text) != 2 || !strings.Contains(log.text[0], "cannot be pushed") || !strings.Contains(log.text[1], "pushed again") {
		t.Errorf("got %d lines, want one when it fails and one when it is well again:\n%s", len(log.text), all)
	}
	if strings.Contains(all, "secret") || len(all) > 2000 {
		t.Errorf("a password, or too much of the answer:\n%s", all)
	}
}

func TestAStoreThatHangsIsInNoOthersWay(t *testing.T) {
	release := make(chan struct{})
	hung := make(chan struct{}, 1000)
	hangs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hung <- struct{}{}
		<-release
	}))
	defer hangs.Close()
	defer close(release)
	pushes := make(chan struct{}, 1000)
	well := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { pushes <- struct{}{} }))
	defer well.Close()
	stop := push(t, &Push{URLs: []string{hangs.URL, well.URL}, Every: 5 * time.Millisecond, From: one{}, Log: quiet})
	receive(t, hung, "the store that hangs")
	for range 5 {
		receive(t, pushes, "a push to the other store")
	}
	receive(t, hung, "another try at the store that hangs")
	stop()
}
