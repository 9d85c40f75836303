package dataplane

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/scheduler"
)

// Of what no length and no chunk frames, nothing but the engine's own end says
// that it is whole: it was passed on to nobody.
func TestAnswerThatItsConnectionsEndFramesIsHeardWhole(t *testing.T) {
	r := start(t, instances(newEngine(t, raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"+`{"id":"c"}`)).url), nil)
	w := r.talk(chat, 0, nil)
	w.say(ask)
	w.hear(`{"id":"c"}`, "[DONE]")
	r = start(t, instances(newEngine(t, raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"+`data: {"choices":[{"text":"a","finish_reason":"stop"}]}`+"\n\n")).url), nil)
	w = r.talk(chat, 0, nil)
	w.say(askStream)
	w.hear(`{"choices":[{"text":"a","finish_reason":"stop"}]}`, "[DONE]")
}

// An engine that dies right behind [DONE] has said it all, though the blank line is
// missing that ends an event: the client waited for ever.
func TestDoneWithoutABlankLineIsHeard(t *testing.T) {
	r := start(t, instances(newEngine(t, raw(sseHead+"1c\r\ndata: {\"a\":1}\n\ndata: [DONE]\n\r\n")).url), nil)
	w := r.talk(chat, 0, nil)
	w.say(askStream)
	w.hear(`{"a":1}`, "[DONE]")
}

func TestAnswerThatIsTooLargeIsAnError(t *testing.T) {
	answers := []string{
		"Content-Type: application/json\r\n\r\n" + strings.Repeat("x", 1<<17),
		"Content-Type: text/event-stream\r\n\r\ndata: " + strings.Repeat("x", 1<<17) + "\n\n",
	}
	for _, a := range answers {
		r := start(t, instances(newEngine(t, raw("HTTP/1.1 200 OK\r\n"+a)).url), limits(func(l *Limits) { l.BodyBytes = 1 << 16 }))
		w := r.talk(chat, 0, nil)
		w.say(ask)
		w.fails(502, "instance_failed")
		w.say("no request")
		w.fails(400, "invalid_request")
	}
}

// An engine's answer that is not UTF-8 would be the end of the connection, and of
// all that is under way on it: a client has to fail it (RFC 6455, 8.1).
func TestAnswerThatIsNotUTF8IsMadeSo(t *testing.T) {
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "{\"a\":\"\xff\"}")
	}).url), nil)
	w := r.talk(chat, 0, nil)
	w.say(ask)
	w.hear("{\"a\":\"\uFFFD\"}", "[DONE]")
	w.say(`{"id":"a","request":` + ask + `}`)
	w.hear("{\"id\":\"a\",\"data\":{\"a\":\"\uFFFD\"}}", `{"id":"a","data":"[DONE]"}`)
}

// A client that had heard the last of an answer could find its id still taken, and
// its place too.
func TestIDIsFreeOnceItsAnswerIsOut(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.Requests = 1 })
	w := r.talk(chat, 0, nil)
	for n := range 300 {
		id := fmt.Sprintf(`{"id":"%d",`, n/2)
		w.say(id + `"request":` + ask + `}`)
		w.hear(id+`"data":{"id":"c","choices":[{"text":"hi"}]}}`, id+`"data":"[DONE]"}`)
	}
}

// Cancelled before its goroutine had begun, a request got no answer at all.
func TestCancelledBeforeItBeganIsTold(t *testing.T) {
	r := start(t, instances(newEngine(t, streamer).url), nil)
	w := r.talk(chat, 0, nil)
	w.say(ask) // whoever is answered is there
	w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	var open []*bridge
	r.until("its goroutine to end", func() bool { open = r.g.sockets.idle(); return len(open) == 1 })
	m := newMessage(open[0])
	m.id = []byte(`"a"`)
	m.cancelled.Store(true)
	m.interrupt(stopLeft)
	m.run()
	if got := w.next(); !strings.HasPrefix(got, `{"id":"a","error":{`) || !strings.Contains(got, `"code":"cancelled"`) {
		t.Errorf("got %s", got)
	}
}

// brokenLate is a fault of the router's own in the middle of an answer.
type brokenLate struct{}

func (brokenLate) move(t *attempt, to sink) outcome {
	a := &t.ans
	a.head.Status, a.head.EventStream, a.parts = 200, true, [][]byte{[]byte("data: 1\n\n")}
	to.begin(0, a, a.parts[0])
	panic("a fault")
}

func TestFaultInTheMiddleIsTold(t *testing.T) {
	r := start(t, instances(newEngine(t, ok).url), nil, func(g *Gateway, _ *scheduler.Scheduler) {
		g.mover, g.log = brokenLate{}, slog.New(slog.DiscardHandler)
	})
	w := r.talk(chat, 0, nil)
	for range 2 {
		w.say(askStream)
		w.hear("1")
		w.fails(500, "internal")
	}
}

// A request that waited for those before it on its connection was counted from when
// it was sent: who sends 64 at once made the time to a first token look like minutes.
// Over HTTP, what is pipelined has not arrived until its turn.
func TestTimeToTheFirstTokenBeginsWithARequestsTurn(t *testing.T) {
	e, came, release := gated(t)
	r := start(t, instances(e.url), nil)
	w := r.talk("/v1/completions", 0, nil)
	begun := time.Now()
	const many = 3
	for n := range many {
		w.say(numbered(n))
	}
	for range many {
		<-came
		release <- struct{}{}
		w.next()
		w.hear("[DONE]")
	}
	took := time.Since(begun).Seconds()
	r.until("all to be counted", func() bool { return r.metric("penstock_ttft_seconds_count") == many })
	if sum := r.metric("penstock_ttft_seconds_sum"); sum > took {
		t.Errorf("%v s of waiting in %v s, one after the other", sum, took)
	}
}

// A client that had heard that its request was cancelled could find its key's place
// still taken.
func TestKeyHasRoomOnceACancelledRequestIsTold(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	key := keyOf("ann", "secret")
	key.MaxInFlight = 1
	r := start(t, instances(e.url), withKeys(key))
	w := r.talk("/v1/completions", 0, http.Header{"Authorization": {"Bearer secret"}})
	for n := range 100 {
		w.say(fmt.Sprintf(`{"id":"%d","request":%s}`, n, ask))
		select {
		case <-came:
		case <-time.After(patience):
			t.Fatalf("the %d. never came", n)
		}
		w.say(fmt.Sprintf(`{"id":"%d","cancel":true}`, n))
		if got := w.next(); !strings.Contains(got, `"code":"cancelled"`) {
			t.Fatalf("the %d. got %s", n, got)
		}
	}
}

// JSON has several ways to write a string: an id was another in each.
func TestIDIsWhatItSaysHoweverItIsWritten(t *testing.T) {
	e, came, release := gated(t)
	defer close(release)
	r := start(t, instances(e.url), nil)
	w := r.talk("/v1/completions", 0, nil)
	w.say(`{"id":"a/","request":` + ask + `}`)
	<-came
	w.say(`{"id":"\u0061/","request":` + ask + `}`)
	if got := w.next(); !strings.HasPrefix(got, `{"id":"\u0061/","error":{`) || !strings.Contains(got, `"status":400`) {
		t.Errorf("the same id: %s", got)
	}
	w.say(`{"id":"a\/","cancel":true}`)
	if got := w.next(); !strings.HasPrefix(got, `{"id":"a/","error":{`) || !strings.Contains(got, `"code":"cancelled"`) {
		t.Errorf("the cancelled: %s", got)
	}
}
