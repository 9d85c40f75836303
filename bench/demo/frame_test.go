package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/lipgloss"
)

func TestPictureFitsTheTerminal(t *testing.T) {
	f := func(columns, rows int) {
		t.Helper()
		s := moment()
		for range 20 { // a long story
			s.begin()
		}
		lines := newFrame(columns, rows).draw(s)
		for _, line := range lines {
			if w := lipgloss.Width(line); w > columns {
				t.Errorf("%d columns: a line has %d: %s", columns, w, line)
			}
		}
		if len(lines) >= rows {
			t.Errorf("%d rows: the picture has %d, and needs one for the cursor", rows, len(lines))
		}
	}
	f(80, 24)
	f(100, 30)
	f(120, 40)
	f(300, 100)
}

func TestPictureOfASmallTerminalDoesNotPanic(t *testing.T) {
	for _, columns := range []int{1, 20, 60} {
		if lines := newFrame(columns, 3).draw(moment()); len(lines) == 0 {
			t.Errorf("%d columns: nothing is shown", columns)
		}
	}
}

func TestANarrowTerminalGetsFewerColumns(t *testing.T) {
	f := func(columns int, has, lacks string) {
		t.Helper()
		lines := newFrame(columns, 24).draw(moment())
		for _, line := range lines[2:4] { // the table's head and its first row
			if w := lipgloss.Width(line); w > columns {
				t.Errorf("%d columns: %s", columns, line)
			}
		}
		if head := lines[2]; !strings.HasSuffix(head, has) || lacks != "" && strings.Contains(head, lacks) {
			t.Errorf("%d columns: got %q", columns, head)
		}
	}
	f(80, "requests", "")
	f(71, "in flight", "requests")
	f(60, "waiting", "in flight")
	f(40, "KV cache     ", "running")
	got := strings.Join(newFrame(40, 24).draw(moment()), "\n")
	for _, whole := range []string{"0:09 of 0:20", "20.0 requests/s\n", "in the router 40, 7 held\n", "in words\n"} {
		if !strings.Contains(got, whole) {
			t.Errorf("the picture lacks %q:\n%s", whole, got)
		}
	}
}

func TestPictureSaysHowThingsStand(t *testing.T) {
	got := strings.Join(newFrame(80, 24).draw(moment()), "\n")
	for _, want := range []string{
		"0:09 of 0:20", "gpu-1   healthy", " 52 %", "123,456", "gpu-2   ejected", "100 %", "20.0 requests/s", "2,000 tokens/s",
		"p50 40 ms  p99 1.3 s", "in the router 40, 7 held", "tried again elsewhere 3", "0:09 Chats and", "a moment ago",
		"http://127.0.0.1:8081/metrics", "curl http://127.0.0.1:8080/v1/completions \\\n", "Ctrl-C",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the picture lacks %q:\n%s", want, got)
		}
	}
	if wide := strings.Join(newFrame(120, 24).draw(moment()), "\n"); !strings.Contains(wide, `/v1/completions -d '{"model":"llama2"`) {
		t.Errorf("the line to try is broken though there is room:\n%s", wide)
	}
}

func TestTheLatestEventsAreShown(t *testing.T) {
	s := moment()
	for n := range 9 {
		s.tell(func(*show) string { return "number " + string(rune('1'+n)) })
	}
	got := strings.Join(newFrame(80, 24).draw(s), "\n")
	if strings.Contains(got, "number 1\n") || !strings.Contains(got, "number 9") {
		t.Errorf("not the latest:\n%s", got)
	}
	if strings.Index(got, "number 8") > strings.Index(got, "number 9") {
		t.Errorf("not in order:\n%s", got)
	}
}

func TestWords(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(clock(0), "0:00")
	f(clock(61*time.Second+600*time.Millisecond), "1:02")
	f(seconds(0), "–")
	f(seconds(0.0424), "42 ms")
	f(seconds(12.34), "12.3 s")
	f(count(0), "0")
	f(count(999), "999")
	f(count(1000), "1,000")
	f(count(uint64(1234567)), "1,234,567")
	f(answers(1), "1 answer")
	f(answers(2), "2 answers")
	f(requests(1), "1 request")
	f(requests(uint64(2000)), "2,000 requests")
}
