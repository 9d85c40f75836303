package demo

import (
	"fmt"
	"strings"
)

// sum writes what the demo has shown.
func (s *show) sum() error {
	b, o := s.board(), s.traffic.read()
	var text strings.Builder
	fmt.Fprintf(&text, "In %s: %s answered, %s refused, %s failed.\n", clock(s.elapsed), requests(o.completed), count(o.rejected), count(o.failed))
	if o.cut > 0 {
		fmt.Fprintf(&text, "%s of an engine that was killed ended with an error event.\n", answers(o.cut))
	}
	fmt.Fprintf(&text, "First token: p50 %s, p99 %s over the last minute. %s tokens in all.\n", seconds(b.TTFTP50), seconds(b.TTFTP99), count(b.OutputTokens))
	if o.underway > 0 {
		fmt.Fprintf(&text, "%s still under way at the end.\n", requests(o.underway))
	}
	if b.Retries > 0 {
		fmt.Fprintf(&text, "%s tried again on another engine, without the client's knowing.\n", requests(b.Retries))
	}
	text.WriteString("Before your own engines:\n  penstock serve --instance http://10.0.0.11:8000 --instance …\n")
	_, err := s.Out.Write([]byte(text.String()))
	return err
}

func requests[T ~int | ~uint64](n T) string {
	if n == 1 {
		return "1 request"
	}
	return count(n) + " requests"
}
