package dataplane

import (
	"strings"
	"testing"

	"penstock/dataplane/http1"
)

func TestPriorityCanBeLoweredAndNotRaised(t *testing.T) {
	f := func(key *Key, said string, want int) {
		t.Helper()
		q := headed(t, said)
		q.key = key
		if r := q.prioritize(); r != nil || q.priority != want {
			t.Errorf("%+v, %q: %d, %v, want %d", key, said, q.priority, r, want)
		}
	}
	high, low := &Key{Priority: 10}, &Key{Priority: -10}
	f(nil, "", 0)
	f(nil, "5", 0)
	f(nil, "-5", -5)
	f(high, "", 10)
	f(high, "9", 9)
	f(high, "+9", 9)
	f(high, "11", 10)
	f(high, "-1000", -1000)
	f(high, "1000", 10)
	f(low, "", -10)
	f(low, "0", -10)
	f(low, "-11", -11)
}

// headed is a request whose head has this priority, if any.
func headed(t *testing.T, said string) *request {
	t.Helper()
	head := "GET / HTTP/1.1\r\nHost: x\r\n"
	if said != "" {
		head += "X-Penstock-Priority: " + said + "\r\n"
	}
	q := &request{}
	if n, err := q.head.Parse([]byte(head + "\r\n")); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	if got := string(q.head.Get(http1.XPenstockPriority)); got != said {
		t.Fatalf("%q was read as %q", said, got)
	}
	return q
}

func TestPriorityThatIsNoneIsRefused(t *testing.T) {
	e, asked := counting(t)
	r := start(t, instances(e.url), limited(func(k *Key) { k.RequestsPerMinute = 1 }))
	f := func(said string) {
		t.Helper()
		resp, body := r.do(ask, asAnn, "X-Penstock-Priority: "+said)
		expect(t, resp, body, 400, "invalid_request")
		if !strings.Contains(body, "from -1000 to 1000") {
			t.Errorf("%s does not say what would be right", body)
		}
	}
	f("")
	f("low")
	f("1.5")
	f("1001")
	f("-1001")
	f("99999999999999999999")
	f("0x10")
	f(strings.Repeat("9", 1000))
	if asked.Load() != 0 {
		t.Errorf("%d of them went to the engine", asked.Load())
	}
	resp, body := r.do(ask, asAnn, "X-Penstock-Priority: -3") // none of those counted
	expect(t, resp, body, 200, "")
}

func TestHeldRequestsGoOutByPriority(t *testing.T) {
	e, came, release := gated(t)
	high, low := keyOf("high", "sk-high"), keyOf("low", "sk-low")
	high.Priority, low.Priority = 10, -10
	r := start(t, one(instances(e.url)), withKeys(high, low, keyOf("ann", "sk-one")))
	var peers []*peer
	for i, headers := range [][]string{
		{asAnn}, // the engine has it
		{asAnn, "X-Penstock-Priority: -20"},
		{"Authorization: sk-low"},
		{asAnn, "X-Penstock-Priority: 500"}, // which it may not
		{"Authorization: sk-high"},
		{"Authorization: sk-high", "X-Penstock-Priority: 5"},
	} {
		p := r.dial()
		p.post(numbered(i), headers...)
		peers = append(peers, p)
		if i == 0 {
			<-came
		}
		r.until("the request to be held", func() bool { return r.metric("penstock_gateway_pending") == float64(i) })
	}
	release <- struct{}{}
	for _, next := range []int{4, 5, 3, 2, 1} {
		if got := <-came; got != numbered(next) {
			t.Fatalf("%s came to the engine, want %s", got, numbered(next))
		}
		release <- struct{}{}
	}
	for _, p := range peers {
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
	}
}
