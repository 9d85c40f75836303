package dataplane

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"penstock/scheduler"
)

func descriptors(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestNothingIsLeftOfManyRequests(t *testing.T) {
	const each, peers, leavers = 50, 10, 100 // 500 requests, 100 aborted ones
	idle := start(t, instances(newEngine(t, ok).url), nil)
	idle.do(ask) // whatever is made once is made now
	idle.stop()
	idle.wait(idle.ended, "the end")
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)

	t.Run("life", func(t *testing.T) {
		came := make(chan struct{}, leavers)
		answer := func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			switch body := string(b); {
			case strings.Contains(body, "hang"):
				came <- struct{}{}
				<-r.Context().Done()
			case strings.Contains(body, `"stream":true`):
				sse(w)
				event(w, "one")
				event(w, "[DONE]")
			default:
				ok(w, r)
			}
		}
		r := start(t, roomy(instances(newEngine(t, answer).url, newEngine(t, answer).url, newEngine(t, reset).url)), func(c *Config, _ *scheduler.Config) { c.Retry.Count = 3 })
		var all sync.WaitGroup
		for range peers {
			all.Go(func() {
				p := r.dial()
				defer p.Close()
				for i := range each {
					switch i % 5 {
					case 0:
						p.post(askStream)
					case 1:
						p.post(padded(50_000))
					case 2:
						p.send("%s", chunkedHead+chunked(padded(9000), 1000))
					case 3:
						p.post(`{"not": "json`)
					default:
						p.post(ask)
					}
					p.whole()
				}
			})
		}
		all.Wait()
		r.until("every request to have ended", func() bool { return r.metric("penstock_gateway_requests") == 0 })

		var left []*peer
		for range leavers {
			p := r.dial()
			p.post(`{"model":"m","prompt":"hang` + strings.Repeat(" ", 9000) + `"}`)
			left = append(left, p)
		}
		for range leavers {
			r.wait(came, "the requests to be with the engines")
		}
		if n := r.metric("penstock_gateway_held_bytes"); n < leavers*9000 {
			t.Errorf("%v bytes are held, expected those of %d requests", n, leavers)
		}
		for _, p := range left {
			p.Close()
		}
		r.until("the aborts", func() bool { return r.aborted("before_first_byte") == leavers })
		for _, series := range []string{"penstock_gateway_requests", "penstock_gateway_held_bytes", "penstock_gateway_connections", "penstock_gateway_pending"} {
			r.until(series+" to be 0", func() bool { return r.metric(series) == 0 })
		}
		for _, i := range r.sched.Instances() {
			r.until(i.Name+" to have nothing in flight", func() bool { return i.Status().InFlight == 0 })
		}
		r.g.watch.mu.Lock()
		watched := len(r.g.watch.watched)
		r.g.watch.mu.Unlock()
		warm := 0
		for _, st := range r.g.stations.all() {
			st.warm.mu.Lock()
			warm += len(st.warm.idle)
			st.warm.mu.Unlock()
		}
		if watched != warm {
			t.Errorf("%d sockets are watched, %d are idle", watched, warm)
		}
	})
	idle.until("the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	idle.until("the descriptors to be closed", func() bool { return descriptors(t) <= fds })
}

// Clients that leave in every way, in the middle of whatever, leave nothing behind.
func TestNothingIsLeftOfManyWebSockets(t *testing.T) {
	const clients, each = 12, 10
	idle := start(t, instances(newEngine(t, ok).url), nil)
	w := idle.talk(chat, 0, nil) // whatever is made once is made now
	w.say(ask)
	w.next()
	w.Close()
	idle.stop()
	idle.wait(idle.ended, "the end")
	goroutines, fds := runtime.NumGoroutine(), descriptors(t)

	t.Run("life", func(t *testing.T) {
		answer := func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if sse(w); strings.Contains(string(b), "hang") {
				event(w, `{"a":1}`)
				<-r.Context().Done()
				return
			}
			event(w, "[DONE]")
		}
		r := start(t, roomy(instances(newEngine(t, answer).url, newEngine(t, answer).url, newEngine(t, reset).url)), nil)
		said := []string{
			`{"id":"a","request":{"model":"m","prompt":"hang","stream":true}}`,
			`{"model":"m","prompt":"hang","stream":true}`,
			askStream, askStream,
			`{"id":"b","request":` + askStream + `}`,
			`{"id":"a","cancel":true}`, `{"id":"c","cancel":true}`,
			"no request",
		}
		ends := []func(w *talker){
			func(w *talker) { w.Close() },
			func(w *talker) { w.UnderlyingConn().(*net.TCPConn).SetLinger(0); w.Close() },
			func(w *talker) { w.UnderlyingConn().(*net.TCPConn).CloseWrite() },
			func(w *talker) { w.UnderlyingConn().Write(frameOf(true, opClose, true, []byte{0x03, 0xe8})) },
			func(w *talker) { w.UnderlyingConn().Write([]byte{0xff, 0xff, 0, 0}) },
			func(w *talker) { w.UnderlyingConn().Write(frameOf(false, 1, true, []byte("half"))); w.Close() },
		}
		var all sync.WaitGroup
		for n := range clients {
			all.Go(func() {
				for i := range each {
					w := r.talk(chat, 0, nil)
					for _, s := range said[:1+(n*each+i)%len(said)] {
						w.say(s)
					}
					if i%2 == 0 {
						w.next()
					}
					ends[(n+i)%len(ends)](w)
				}
			})
		}
		all.Wait()
		for _, series := range []string{"penstock_websocket_connections", "penstock_gateway_requests", "penstock_gateway_held_bytes", "penstock_gateway_connections"} {
			r.until(series+" to be 0", func() bool { return r.metric(series) == 0 })
		}
		for _, i := range r.sched.Instances() {
			r.until(i.Name+" to have nothing in flight", func() bool { return i.Status().InFlight == 0 })
		}
		closes := 0.0
		for _, code := range closeCodes {
			closes += r.metric(fmt.Sprintf("penstock_websocket_closes_total{code=%q}", strconv.Itoa(code)))
		}
		if closes != clients*each {
			t.Errorf("%v closes of %d are counted", closes, clients*each)
		}
	})
	idle.until("the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	idle.until("the descriptors to be closed", func() bool { return descriptors(t) <= fds })
}
