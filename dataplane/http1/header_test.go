package http1

import (
	"strings"
	"testing"
)

func TestKindInAnyCase(t *testing.T) {
	f := func(name string, want Kind) {
		t.Helper()
		if got := kindOf([]byte(name)); got != want {
			t.Errorf("%q: got %d (%s), want %d", name, got, kindNames[got], want)
		}
	}
	for k := Authorization; k < kinds; k++ {
		name := kindNames[k]
		if name == "" || name != strings.ToLower(name) {
			t.Fatalf("kind %d has the name %q", k, name)
		}
		f(name, k)
		f(strings.ToUpper(name), k)
		f(strings.ToUpper(name[:1])+name[1:], k)
		f(name[1:], Other)
		f(name+"s", Other)
		f("x"+name[1:]+"x", Other)
		if name[0] != 'x' {
			f("x"+name[1:], Other)
		}
	}
	f("HoSt", Host)
	f("x-Stainless-OS", Other)
	f("content_length", Other)
	f("", Other)
	f(strings.Repeat("a", 1000), Other)
}

func TestHopByHop(t *testing.T) {
	f := func(lines, want string) {
		t.Helper()
		var r Request
		if n, err := r.Parse([]byte("GET / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n")); n == 0 {
			t.Fatalf("%q: %v", lines, err)
		}
		var on []string
		for i := range r.Headers {
			if h := &r.Headers[i]; !h.HopByHop() {
				on = append(on, string(h.Name))
			}
		}
		if got := strings.Join(on, " "); got != want {
			t.Errorf("%q: %q go on, want %q", lines, got, want)
		}
	}
	f("", "Host")
	f("Connection: close\r\nKEEP-ALIVE: 5\r\nproxy-connection: x\r\nProxy-Authenticate: x\r\nProxy-Authorization: x\r\n"+
		"TE: trailers\r\nTrailer: x\r\nTransfer-Encoding: chunked\r\nUpgrade: h2c\r\nA: b\r\n", "Host A")
	f("A: 1\r\nConnection: keep-alive, b ,, A\r\nB: 2\r\na: 3\r\nC: 4\r\nAB: 5\r\n", "Host C AB")
	f("Connection: A\r\nB: 1\r\nA: 2\r\nConnection: b\r\n", "Host")
	f("Connection: http2-settings, upgrade\r\nHTTP2-Settings: AA\r\nUpgrade: h2c\r\n", "Host")
	f("Connection: close\r\nClose: 1\r\n", "Host Close")
	// Naming the framing must not take it away from what goes on.
	f("Connection: content-length, host, content-type\r\nContent-Length: 5\r\nContent-Type: a\r\n", "Host Content-Length")
}

func TestHeaderValues(t *testing.T) {
	f := func(line, name, value string) {
		t.Helper()
		var r Request
		if n, err := r.Parse([]byte("GET / HTTP/1.0\r\n" + line + "\r\n\r\n")); n == 0 {
			t.Fatalf("%q: %v", line, err)
		}
		if h := r.Headers[0]; string(h.Name) != name || string(h.Value) != value {
			t.Errorf("%q: got %q, %q", line, h.Name, h.Value)
		}
	}
	f("A:b", "A", "b")
	f("a: b", "a", "b")
	f("A: \t b c\td \t ", "A", "b c\td")
	f("A:", "A", "")
	f("A: \t ", "A", "")
	f("A: b: c", "A", "b: c")
	f("A: \xff\x80ä", "A", "\xff\x80ä")
	f("!#$%&'*+-.^_`|~09azAZ: 1", "!#$%&'*+-.^_`|~09azAZ", "1")
}

func TestAppendHeader(t *testing.T) {
	got := AppendHeader([]byte("x"), []byte("Name"), []byte("a b"))
	if string(got) != "xName: a b\r\n" {
		t.Fatalf("got %q", got)
	}
}
