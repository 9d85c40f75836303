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
	if err := p.close(s); err != nil || !strings.HasPrefix(out.String(), showCursor) {
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
	if got := shown(s.elapsed); got != "" {
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
	if err := p.close(s); err != nil || out.String() != "0:14  the last\n" {
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
