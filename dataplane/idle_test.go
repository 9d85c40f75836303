package dataplane

import (
	"testing"
	"time"

	"penstock/scheduler"
)

// Whether a WebSocket had idled for too long was looked at with the client's pings,
// every 20 s.
func TestIdleTimeIsKeptToTheMoment(t *testing.T) {
	const limit = 8 * short
	r := start(t, instances(newEngine(t, streamer).url, socketEngine(t, echo).url), func(c *Config, _ *scheduler.Config) { c.WebSocket.IdleTimeout = limit })
	r.well()
	f := func(name, path, instance string, use func(*talker)) {
		t.Helper()
		for _, other := range []string{"a", "b"} {
			r.sched.Drain(other, other != instance)
		}
		w := r.talk(path, 0, nil)
		began := time.Now() // it may have begun a moment sooner
		use(w)
		used := time.Since(began)
		w.ends(1001)
		if idle := time.Since(began) - used; idle < limit-short || idle > r.g.pingEvery/4 {
			t.Errorf("%s: closed after %v, want %v", name, idle, limit)
		}
	}
	nothing := func(*talker) {}
	f("asked for nothing", chat, "a", nothing)
	f("asked for something", chat, "a", func(w *talker) {
		w.say(ask)
		w.hear(`{"id":"c","choices":[{"text":"hi"}]}`, "[DONE]")
	})
	f("nothing passed", realtime, "b", nothing)
	f("something passed", realtime, "b", func(w *talker) {
		for begun := time.Now(); time.Since(begun) < limit/2; {
			w.say("hello")
			w.hear("hello")
		}
	})
}
