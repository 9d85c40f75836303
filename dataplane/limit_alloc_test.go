//go:build !race

package dataplane

import (
	"strings"
	"testing"

	"penstock/scheduler"
)

func TestAdmissionAllocatesNothing(t *testing.T) {
	l := limiterOf(Key{RequestsPerMinute: 1e9, TokensPerMinute: 1e9, MaxInFlight: 1e6})
	head := make([]byte, 0, 1<<10)
	now := int64(0)
	f := func() {
		now += second
		if l.enter(now) != nil {
			t.Fatal("refused")
		}
		taken, r := l.reserve(300, now)
		if r != nil {
			t.Fatal("refused")
		}
		head = l.appendTo(head[:0], now)
		l.charge(taken, 40, 70, now)
		l.leave(now, false)
	}
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRequestOfALimitedKeyAllocatesNothing(t *testing.T) {
	e := plainEngine(t, saying(jsonAnswer))
	r := start(t, roomy(instances(e)), func(c *Config, s *scheduler.Config) {
		limited(func(k *Key) { k.RequestsPerMinute, k.TokensPerMinute, k.MaxInFlight, k.Priority = 1e9, 1e9, 10, 5 })(c, s)
		calm(c, s)
	})
	r.until("the engine to be known", func() bool { return r.sched.Instances()[0].State() == scheduler.Healthy })
	request := strings.Replace(sized(len(ask)), "\r\n\r\n", "\r\n"+asAnn+"\r\nX-Penstock-Priority: -7\r\n\r\n", 1)
	trip := tripper(t, r.addr, []byte(request), jsonAnswer)
	for range 100 {
		trip()
	}
	if n := testing.AllocsPerRun(1000, trip); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
	r.clear()
	if n := r.metric(`penstock_key_tokens_total{key="ann",kind="generation"}`); n < 2200 {
		t.Errorf("%v tokens counted, want 2 for each request", n)
	}
}
