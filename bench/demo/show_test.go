package demo

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A whole story, told in two seconds. Where the router would be is an engine.
func TestRunTellsTheStoryAndLeavesNothing(t *testing.T) {
	before := ours()
	engines, err := StartEngines()
	if err != nil {
		t.Fatal(err)
	}
	if len(engines.Names()) != len(engines.URLs()) {
		t.Fatalf("%d names, %d URLs", len(engines.Names()), len(engines.URLs()))
	}
	var out bytes.Buffer
	looks := uint64(0)
	err = Run(context.Background(), Options{
		Engines: engines, For: 2 * time.Second, Out: &out,
		Router: Router{URL: engines.URLs()[0], Admin: "http://127.0.0.1:8081", Look: func() Board { looks++; return Board{Requests: looks} }},
	})
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{"Chats and", "110 requests at once", "gpu-3 was killed; its requests went elsewhere; 0 failed.", "gpu-3 is back", "In 0:02: ", " still under way at the end."} {
		i := strings.Index(out.String()[at:], want)
		if i < 0 {
			t.Fatalf("%q does not come after what is before it in\n%s", want, &out)
		}
		at += i
	}
	if err := engines.Close(); err != nil {
		t.Error(err)
	}
	over := time.After(20 * time.Second)
	for ours() != before {
		select {
		case <-over:
			t.Fatalf("%d goroutines of ours, %d before", ours(), before)
		default:
			runtime.Gosched()
		}
	}
}

// ours counts the goroutines that run code of this module. fasthttp's cleaner
// of idle connections sleeps on for a while after its client.
func ours() int {
	buf := make([]byte, 1<<20)
	n := 0
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "\npenstock/") {
			n++
		}
	}
	return n
}

func TestCtrlCEndsTheShow(t *testing.T) {
	engines, err := StartEngines()
	if err != nil {
		t.Fatal(err)
	}
	defer engines.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var out bytes.Buffer
	looks := 0
	err = Run(ctx, Options{
		Engines: engines, Out: &out, Size: func() (int, int) { return 80, 24 },
		Router: Router{URL: engines.URLs()[0], Look: func() Board {
			if looks++; looks == 2 {
				cancel()
			}
			return Board{}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), showCursor+"\r\nIn 0:00: ") || !strings.Contains(out.String(), hideCursor) {
		t.Errorf("the end is %q", out.String())
	}
}

func TestTheVictimIsRefusedAndComesBack(t *testing.T) {
	engines, err := StartEngines()
	if err != nil {
		t.Fatal(err)
	}
	defer engines.Close()
	answersAt := func() int {
		t.Helper()
		c := (&traffic{url: engines.URLs()[victim]}).base()
		c.Requests, c.Concurrency, c.Duration, c.OutputTokens = 1, 1, 0, 1
		tr := &traffic{}
		tr.send(context.Background(), c)
		tr.runs.Wait()
		return tr.read().completed
	}
	f := func(what string, do func() error, want int) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		if got := answersAt(); got != want {
			t.Errorf("%s: %d of 1 requests completed, want %d", what, got, want)
		}
	}
	f("killed", engines.kill, 0)
	f("revived", engines.revive, 1)
}
