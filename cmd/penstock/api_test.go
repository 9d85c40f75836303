package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

func TestAnswersDoNotSteerTheTerminal(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		if got := said([]byte(body)); got != want {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
	f(`{"error":{"message":"no such instance"}}`, "no such instance")
	f(`{"error":{"message":"\u001b[2Jpwn\u009b1m\nall is well"}}`, "?[2Jpwn?1m?all is well")
	f(" \x1b]0;pwn\x07 ", "?]0;pwn?")
}

// Who asks where no router listens is told which flag names another.
func TestWithoutARouterTheFlagIsNamed(t *testing.T) {
	ln, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	api := &adminAPI{base: "http://" + ln.Addr().String()}
	explain, drain := explainCmd{Last: 1}, drainCmd{Name: "gpu-1"}
	for flag, err := range map[string]error{
		"--admin": explain.explain(context.Background(), api, io.Discard), "--scheduler": drain.drain(context.Background(), api, io.Discard),
	} {
		if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), api.base) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}
