package dataplane

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// Compression was agreed on whatever else an offer asked for: the client could not
// read what came, or had to fail the connection (RFC 7692, 7.1).
func TestCompressionIsAgreedOnAsItWasOfferedOrNotAtAll(t *testing.T) {
	r := start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(append(append([]byte(`{"a":"`), bytes.Repeat([]byte("x"), 4096)...), `"}`...))
	}).url), nil)
	f := func(agreed bool, offers ...string) {
		t.Helper()
		p := r.dial()
		p.send("GET %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", chat)
		for _, o := range offers {
			p.send("Sec-WebSocket-Extensions: %s\r\n", o)
		}
		p.send("\r\n")
		resp := p.response()
		want := ""
		if agreed {
			want = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		}
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); resp.StatusCode != 101 || got != want {
			t.Errorf("%q: %d, agreed on %q", offers, resp.StatusCode, got)
		}
		p.Write(frameOf(true, 1, true, []byte(ask)))
		if first, err := p.r.ReadByte(); err != nil || first&0x40 != 0 != agreed { // a frame's RSV1
			t.Errorf("%q: its answer begins with %#x, %v", offers, first, err)
		}
		p.Close()
	}
	f(false)
	f(true, "permessage-deflate")
	f(true, "permessage-deflate; client_max_window_bits")
	f(true, `permessage-deflate ;client_max_window_bits = "10" ; server_no_context_takeover;client_no_context_takeover`)
	f(false, "permessage-deflate; server_max_window_bits=10")
	f(false, "permessage-deflate; server_max_window_bits=15") // it would have to stand in the answer
	f(true, "permessage-deflate; server_max_window_bits=10, permessage-deflate")
	f(true, "permessage-deflate; server_max_window_bits=10", "x-other, permessage-deflate; client_max_window_bits=8")
	f(false, "permessage-deflate; unheard_of")
	f(false, "permessage-deflate; client_max_window_bits; client_max_window_bits=10")
	f(false, "permessage-deflate; client_no_context_takeover; client_no_context_takeover")
	f(false, "permessage-deflate; client_no_context_takeover=1")
	f(false, "permessage-deflate; client_max_window_bits=16")
	f(false, "permessage-deflate; client_max_window_bits=08")
	f(false, "permessage-deflate; client_max_window_bits=")
	f(false, "permessage-deflate;")
	f(false, "permessage-deflate client_max_window_bits")
	f(false, `x-other; a="b, permessage-deflate, c"`)
	f(false, `x-other; a="b\", permessage-deflate, c`)
	f(false, "x-permessage-deflate, deflate-frame, ,")
}

func FuzzOffers(f *testing.F) {
	f.Add([]byte(`permessage-deflate; client_max_window_bits="15", x; y="\",;"`))
	f.Fuzz(func(t *testing.T, list []byte) {
		some, rest := false, list
		for more := true; more; { // a list has what one of its offers has
			before := len(rest)
			var offer []byte
			if offer, rest, more = cutUnquoted(rest, ','); more && len(rest) >= before {
				t.Fatal("it does not end")
			}
			some = some || canDeflate(offer)
			if canDeflate(offer) && !canDeflate(append([]byte(" "), append(bytes.Clone(offer), '\t')...)) {
				t.Errorf("%q: space counts", offer)
			}
			if canDeflate(append(bytes.Clone(offer), "; server_max_window_bits=10"...)) {
				t.Errorf("%q: a window that cannot be had is agreed on", offer)
			}
		}
		if some != listsDeflate(list) {
			t.Errorf("%q: an offer says %v, the list %v", list, some, !some)
		}
	})
}
