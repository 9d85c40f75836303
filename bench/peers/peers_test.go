package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseHead(t *testing.T) {
	f := func(text string, wantLen int, want head) {
		t.Helper()
		h, n := parseHead([]byte(text))
		if n != wantLen || string(h.line) != string(want.line) || h.length != want.length || h.chunked != want.chunked {
			t.Errorf("parseHead(%q) = %+v, %d; want %+v, %d", text, h, n, want, wantLen)
		}
	}
	f("HTTP/1.1 200 OK\r\nContent-Le", 0, head{})
	f("HTTP/1.1 200 OK\r\n\r\nbody", 19, head{line: []byte("HTTP/1.1 200 OK"), length: -1})
	f("A\r\nCONTENT-length:  7\r\nx: y\r\n\r\n", 31, head{line: []byte("A"), length: 7})
	f("A\r\nTransfer-Encoding: Chunked\r\n\r\n", 33, head{line: []byte("A"), length: -1, chunked: true})
}

// However the bytes are cut, each stamp is seen once.
func TestStampsAreSeenOnceHoweverTheBytesAreCut(t *testing.T) {
	var text string
	for i := range 5 {
		text += fmt.Sprintf(eventFormat, 1000+i)
	}
	for size := 1; size < 300; size++ {
		var got []int64
		var acc []byte
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			acc = append(acc, rest[:n]...)
			rest = rest[n:]
			keep := stamps(acc, func(sent int64) { got = append(got, sent) })
			acc = append(acc[:0], acc[len(acc)-keep:]...)
		}
		if fmt.Sprint(got) != "[1000 1001 1002 1003 1004]" {
			t.Fatalf("cut into %d bytes: %v", size, got)
		}
	}
}

func newTestBench(t *testing.T) *bench {
	t.Helper()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEngines(l, 2)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { defer close(stopped); l.run(stop) }()
	t.Cleanup(func() { close(stop); <-stopped })
	return &bench{loop: l, engines: e, options: options{warm: 20 * time.Millisecond, window: 200 * time.Millisecond}}
}

func TestClosedLoop(t *testing.T) {
	b := newTestBench(t)
	f := func(request []byte, clients int) {
		t.Helper()
		r, err := b.closedLoop(&process{addr: b.engines.addrs[0]}, request, clients)
		if err != nil || r.Count < clients || r.Failed != 0 || r.P50Micros <= 0 {
			t.Errorf("%d clients: %+v, %v", clients, r, err)
		}
	}
	f(smallRequest, 1)
	f(smallRequest, 16)
	f(largeRequest, 8)
}

func TestStreams(t *testing.T) {
	b := newTestBench(t)
	r, err := b.streams(&process{addr: b.engines.addrs[1]}, 50, 10*time.Millisecond)
	if err != nil || r.Failed != 0 || r.EventsMissed > 50 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Count < 100 || r.PerSecond > 15000 { // 50 streams × 100/s for 0.2 s
		t.Errorf("%d events, %.0f/s; want about 1,000, 5,000/s", r.Count, r.PerSecond)
	}
}

func TestFixedRate(t *testing.T) {
	b := newTestBench(t)
	r, err := b.fixedRate(&process{addr: b.engines.addrs[0]}, smallRequest, 16, 1000)
	if err != nil || r.Failed != 0 || r.P50Micros <= 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if r.Count < 20 || r.PerSecond > 3000 { // a closed loop would have 50,000/s
		t.Errorf("%d answers, %.0f/s; want about 200, 1,000/s", r.Count, r.PerSecond)
	}
}

// A request that no client was free for is sent as soon as one is, and counts
// from when it was due.
func TestPaceKeepsWhatIsLate(t *testing.T) {
	p := newPace(1000, 0)
	p.tick(10e6)
	due := slices.Clone(p.late)
	if len(due) < 2 || due[0] != 0 || p.next <= 10e6 {
		t.Fatalf("due in 10 ms at 1,000/s: %v, next %d", due, p.next)
	}
	c := &client{fd: -1, load: &load{}}
	p.free(c)
	if c.began != due[0] || len(p.late) != len(due)-1 || len(p.idle) != 0 {
		t.Errorf("the client began at %d with %d late; want %d and %d", c.began, len(p.late), due[0], len(due)-1)
	}
}

func TestReport(t *testing.T) {
	rp := &report{Rounds: 3}
	for round, us := range []float64{10, 30, 20} {
		rp.Results = append(rp.Results,
			result{Case: "rate", Proxy: "floor", Round: round, CPUMicros: us, P50Micros: 140},
			result{Case: "rate", Proxy: "penstock", Round: round, CPUMicros: 0.9 * us, P50Micros: 120},
			result{Case: "rate", Proxy: direct, Round: round, P50Micros: 100})
	}
	var text strings.Builder
	rp.write(&text)
	for _, want := range []string{
		"|                       | direct | floor | penstock | x floor |",
		"| small, 2000/s: CPU µs |      - |  20.0 |     18.0 |    0.90 |",
		"|   answer p50, µs      |    100 | +40.0 |    +20.0 |    0.50 |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &text)
		}
	}
}
