package load

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// split takes s apart in pieces of n bytes.
func split(t testing.TB, s string, n int) (out []string) {
	t.Helper()
	var e events
	for p := range slices.Chunk([]byte(s), n) {
		p = bytes.Clone(p) // what is given is used up before the next
		e.feed(p)
		for {
			data, ok, err := e.next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			out = append(out, string(data))
		}
		clear(p)
	}
	return out
}

func TestEvents(t *testing.T) {
	f := func(s string, want ...string) {
		t.Helper()
		for n := 1; n <= len(s); n++ {
			if got := split(t, s, n); !slices.Equal(got, want) {
				t.Fatalf("%q in pieces of %d: got %q, want %q", s, n, got, want)
			}
		}
	}
	f("data: a\n\ndata: b\n\n", "a", "b")
	f("data:a\r\n\r\ndata:  b \r\n\r\n", "a", "b")
	f(": ping\n\nevent: x\nid: 7\ndata: {\"k\":\"data: no\"}\n\nretry: 5\n\n", `{"k":"data: no"}`)
	f("data: whole\n\ndata: cut", "whole")
	f("data:\n\n", "")
	f("\n\n\n")
}

func TestLongEventIsRefused(t *testing.T) {
	var e events
	e.feed([]byte("data: "))
	piece := []byte(strings.Repeat("x", 1<<16))
	for i := 0; ; i++ {
		_, ok, err := e.next()
		if ok {
			t.Fatal("an event without an end")
		}
		if err != nil {
			if err != errLongEvent || i < 16 {
				t.Fatalf("got %v after %d KiB", err, i*64)
			}
			return
		}
		if i > 17 {
			t.Fatal("the line grows without bound")
		}
		e.feed(piece)
	}
}

func TestEventsAllocateNothing(t *testing.T) {
	whole := []byte(tokenEvent(1) + tokenEvent(2))
	half := whole[:40]
	var e events
	var a answer
	if n := testing.AllocsPerRun(1000, func() {
		for _, p := range [][]byte{whole, half, whole[40:]} {
			e.feed(p)
			for {
				data, ok, _ := e.next()
				if !ok {
					break
				}
				if !a.event(data) {
					t.Fatalf("no token in %q", data)
				}
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// What comes is the same whichever way the network cuts it, and nothing that a
// server can say makes it panic.
func FuzzEvents(f *testing.F) {
	f.Add([]byte(roleEvent+tokenEvent(1)+usageEvent(3, 4)+doneEvent), uint8(7))
	f.Add([]byte("data: {\"error\":{\"message\":\"x\"}}\n\n"), uint8(1))
	f.Add([]byte("data: {\"usage\":{\"prompt_tokens\":99999999999999999999}}\r\n\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		whole := split(t, string(b), max(len(b), 1))
		if got := split(t, string(b), int(n)+1); !slices.Equal(got, whole) {
			t.Fatalf("in pieces of %d: got %q, want %q", n, got, whole)
		}
		var a answer
		for _, data := range whole {
			a.event([]byte(data))
		}
		a.whole(b)
		if a.prompt < 0 || a.completion < 0 {
			t.Fatalf("counts are %d and %d", a.prompt, a.completion)
		}
	})
}
