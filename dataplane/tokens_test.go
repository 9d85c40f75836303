package dataplane

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/scheduler"
)

func predictive(_ *Config, s *scheduler.Config) { s.Policy = "predictive" }

// expects is what the scheduler thinks that the next answer has, with no bound.
func (r *rig) expects() int {
	route, _ := r.g.routes.find([]byte("/v1/completions"))
	d := r.sched.Pick(&scheduler.Query{Model: "m", MaxTokens: -1, Stream: true, PromptTokens: 2, Like: uint64(route.index) << 32})
	defer d.Reservation.End()
	return d.Reservation.Expected()
}

// What an engine counts is its answers' length, and each event of a stream that
// says nothing of it is a token, the last ones too.
func TestAnswersTeachTheirLength(t *testing.T) {
	whole := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"choices":[{"text":"`+strings.Repeat("word ", 900)+`"}],"usage":{"prompt_tokens":3,"completion_tokens":1000}}`)
	}
	stream := func(n int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			sse(w)
			for range n {
				event(w, `{"choices":[{"text":"x"}]}`)
			}
			event(w, "[DONE]")
		}
	}
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter)
		stream bool
		want   int
	}{
		"whole": {whole, false, 1000}, "a stream of 14": {stream(14), true, 14}, "a stream of 31": {stream(31), true, 31},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				c.answer(w)
			})
			r := start(t, instances(e.url), predictive)
			for range 20 {
				r.do(fmt.Sprintf(`{"model":"m","prompt":"hello","stream":%v}`, c.stream))
			}
			if got := r.expects(); got != c.want {
				t.Errorf("of the next are %d tokens expected, want %d", got, c.want)
			}
		})
	}
}

// Embeddings and images are computed many at a time: an engine gets as many as
// there are.
func TestWhatKeepsNobodyWaitingIsNotHeld(t *testing.T) {
	const many = 24
	text := strings.Repeat("word ", 1600)
	for path, body := range map[string]string{
		"/v1/embeddings":       `{"model":"m","input":"%d ` + text + `"}`,
		"/v1/chat/completions": `{"model":"m","stream":true,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/%d.png"}},{"type":"text","text":"` + text + `"}]}]}`,
	} {
		t.Run(path, func(t *testing.T) {
			var there atomic.Int32
			all, late := make(chan struct{}), time.After(20*time.Second)
			e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				if there.Add(1) == many {
					close(all)
				}
				select {
				case <-all:
					io.WriteString(w, "{}")
				case <-late:
					w.WriteHeader(500)
				}
			})
			list := instances(e.url)
			list[0].MaxInFlight = 256
			r := start(t, list, predictive)
			var clients sync.WaitGroup
			for k := range many {
				clients.Go(func() {
					p := r.dial()
					defer p.Close()
					body := fmt.Sprintf(body, k)
					p.send("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
					if resp, _ := p.whole(); resp.StatusCode != 200 {
						t.Errorf("%d: the engine had %d of %d at a time", resp.StatusCode, there.Load(), many)
					}
				})
			}
			clients.Wait()
		})
	}
}

// Comments, and the event that says whose turn it is, come before anything is
// computed.
func TestFirstTokenIsWhatHadToBeComputed(t *testing.T) {
	const role = `data: {"choices":[{"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	for stream, want := range map[string]bool{
		"":                           false,
		": ping\n\n":                 false,
		": ping\n\n: pi":             false,
		role:                         false,
		": ping\n\n" + role:          false,
		role + "data: a\n\n":         true,
		": ping\n\ndata: a\n\n":      true,
		"data: {\"text\":\"a\"}\n\n": true,
		"data: [DONE]\n\n":           true,
		`data: {"delta":{"role":"assistant","content":"a"}}` + "\n\n": true,
	} {
		if got := metered(true, stream).begun(); got != want {
			t.Errorf("%q: begun is %v", stream, got)
		}
	}
	if !metered(false, "{").begun() {
		t.Error("a whole answer has not begun with its first byte")
	}
}

func TestPromptsAreGuessedByWhatEnginesCounted(t *testing.T) {
	var d density
	near := func(want float64) {
		t.Helper()
		if got := d.perByte(); math.Abs(got-want) > want/10 {
			t.Errorf("%.3f tokens in a byte, want %.3f", got, want)
		}
	}
	near(0.25)
	d.learn(100, 100) // a template, mostly
	near(0.25)
	for range 3000 {
		d.learn(4000, 800)
	}
	near(0.2)
	d.learn(4000, 1<<40) // it may say anything
	near(0.2)
	for range 3000 {
		d.learn(4000, 0)
	}
	near(leastPerByte)
}
