package demo

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPainterDrawsInPlaceAndLeavesTheCursor(t *testing.T) {
	var out bytes.Buffer
	columns := 80
	p := newScreen(&out, func() (int, int) { return columns, 24 })
	s := moment()
	draw := func() string {
		t.Helper()
		out.Reset()
		if err := p.show(s); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := draw()
	lines := strings.Count(first, "\n")
	if !strings.HasPrefix(first, hideCursor+" ") && !strings.HasPrefix(first, hideCursor+"\x1b[") || strings.Contains(first, clearScreen) {
		t.Errorf("the first picture begins with %q", first[:20])
	}
	if again, want := draw(), hideCursor+"\x1b["+count(lines)+"A\r"; !strings.HasPrefix(again, want) || !strings.HasSuffix(again, clearBelow) {
		t.Errorf("got %q, want it to begin with %q", again[:20], want)
	}
	columns = 100
	if resized := draw(); !strings.HasPrefix(resized, hideCursor+clearScreen) {
		t.Errorf("a terminal of another size gets %q", resized[:20])
	}
	out.Reset()
	if err := p.close(s); err != nil || !strings.HasSuffix(out.String(), clearBelow+showCursor+"\r\n") {
		t.Errorf("%v: the end is %q", err, out.String())
	}
}

func TestPrinterWaitsForConsequences(t *testing.T) {
	var out bytes.Buffer
	p := newScreen(&out, nil)
	s := moment()
	s.events = nil
	failed := 0
	s.tell(func(*show) string { return strings.Repeat("!", failed) + "it happened" })
	shown := func(at time.Duration) string {
		t.Helper()
		out.Reset()
		s.elapsed = at
		if err := p.show(s); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := shown(s.elapsed); got != "router at http://127.0.0.1:8080, state and metrics at http://127.0.0.1:8081/\n" {
		t.Errorf("at once: %q", got)
	}
	failed = 3
	if got := shown(s.elapsed + settling); !strings.HasPrefix(got, "0:09  !!!it happened\n0:13  20.0 requests/s, 40 in the router, 7 held") {
		t.Errorf("then: %q", got)
	}
	if got := shown(s.elapsed + time.Second); got != "" {
		t.Errorf("and again: %q", got)
	}
	s.tell(func(*show) string { return "the last" })
	out.Reset()
	failed = 4
	if err := p.close(s); err != nil || out.String() != "0:14  the last\n0:09  in the end: !!!!it happened\n" {
		t.Errorf("%v: the end is %q", err, out.String())
	}
}

type broken struct{}

var errBroken = errors.New("broken pipe")

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestAReaderThatIsGoneEndsTheShow(t *testing.T) {
	for _, size := range []func() (int, int){nil, func() (int, int) { return 80, 24 }} {
		s := moment()
		s.elapsed += settling
		if err := newScreen(broken{}, size).show(s); !errors.Is(err, errBroken) {
			t.Errorf("got %v, want the writer's error", err)
		}
	}
}

func TestANewRoundLeavesOldCountsAlone(t *testing.T) {
	s := moment()
	n := 1
	s.tell(func(*show) string { return count(n) })
	before := len(s.events) - 1
	if s.begin() != nil {
		t.Fatal("no second round")
	}
	n = 2
	if got := s.events[before].sentence(s); got != "1" {
		t.Errorf("an event of the round before says %s", got)
	}
}
