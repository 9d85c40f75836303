package dataplane

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// Streams kept the buffers that their requests had come in, for as long as they
// lasted: 1 MiB each for a prompt of that size, though it was given back, and 4 KiB
// at least.
func TestStreamKeepsNothingOfItsRequest(t *testing.T) {
	const streams, prompt, most = 16, 1 << 20, 128 << 10
	f := func(name string, open func(r *rig, body string) (begun func())) {
		t.Helper()
		release := make(chan struct{})
		r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			sse(w)
			event(w, `{"choices":[{"text":"a"}]}`)
			<-release
		}).url), nil)
		defer close(release)
		body := `{"model":"m","stream":true,"prompt":"` + strings.Repeat("x", prompt) + `"}`
		before := live()
		for range streams {
			open(r, body)()
		}
		if each := (live() - before) / streams; each > most {
			t.Errorf("%s: a stream keeps %d bytes", name, each)
		}
	}
	f("SSE", func(r *rig, body string) func() {
		p := r.dial()
		p.post(body)
		return func() { p.response() }
	})
	f("WebSocket", func(r *rig, body string) func() {
		w := r.talk("/v1/completions", 0, nil)
		w.say(body)
		return func() { w.next() }
	})
}

// live is how many bytes of the heap are in use, what the pools hold left out.
func live() int64 {
	for range 3 { // a pool lives for two
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
