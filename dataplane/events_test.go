package dataplane

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// eventsOf are the data of a stream's events, as it comes in these pieces.
func eventsOf(most int, pieces ...[]byte) (list []string, err error) {
	var e events
	emit := func(data []byte) error {
		list = append(list, string(data))
		return nil
	}
	for _, p := range pieces {
		if err := e.feed(p, most, emit); err != nil {
			return list, err
		}
	}
	return list, e.flush(emit)
}

func TestEventsAreTheirData(t *testing.T) {
	f := func(stream string, want ...string) {
		t.Helper()
		got, err := eventsOf(100, []byte(stream))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", stream, got, err, want)
		}
	}
	f("")
	f("\n\n\r\n")
	f("data: a\n\ndata:b\r\n\r\n", "a", "b")
	f("data:  a\ndata:\ndata: b\n\n", " a\n\nb")
	f(": comment\nevent: x\nid: 1\ndata: a\n\nevent: y\n\n", "a")
	f("data: a\n\ndata: unended", "a", "unended")
	f("data: a\n\n[DONE]\n\n", "a", "[DONE]")
	if _, err := eventsOf(100, []byte("data: "+strings.Repeat("x", 200)), nil); !errors.Is(err, errLargeEvent) {
		t.Errorf("a line without an end: %v", err)
	}
	if _, err := eventsOf(100, []byte(strings.Repeat("data: x\n", 200))); !errors.Is(err, errLargeEvent) {
		t.Errorf("an event without an end: %v", err)
	}
}

// However a stream is cut, its events are the same, and none has more than it may.
func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: a\n\ndata: b\r\n\r\n: c\nevent: d\n\n[DONE]\n\n"), 5, 9)
	f.Add([]byte("data:\ndata\n\r\ndata: x"), 1, 2)
	f.Fuzz(func(t *testing.T, stream []byte, i, j int) {
		const most = 64
		i = min(max(i, 0), len(stream))
		j = min(max(j, i), len(stream))
		want, whole := eventsOf(most, stream)
		got, cut := eventsOf(most, bytes.Clone(stream[:i]), bytes.Clone(stream[i:j]), bytes.Clone(stream[j:]))
		if whole == nil && cut == nil && !slices.Equal(got, want) {
			t.Errorf("%q and %q", got, want)
		}
		if (whole == nil) != (cut == nil) {
			t.Errorf("%v and %v", whole, cut)
		}
		for _, data := range append(got, want...) {
			if len(data) > most+1 {
				t.Errorf("an event of %d bytes", len(data))
			}
		}
	})
}
