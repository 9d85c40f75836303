package main

import "testing"

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
