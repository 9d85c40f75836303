package dataplane

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// The head was read into the same buffer: what came later must not lie over it.
func TestChunkedBodyThatComesLateKeepsTheHead(t *testing.T) {
	got := make(chan string, 1)
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- r.Method + " " + r.URL.Path + " " + r.Header.Get("X-Stainless-Lang") + " " + string(b)
		ok(w, r)
	})
	r := start(t, instances(e.url), nil)
	for _, filler := range []int{1, minBuffer - 300, 2*minBuffer - 150} { // the head fills its buffer, or nearly
		p := r.dial()
		p.send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nX-Stainless-Lang: python\r\nX-Filler: %s\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("f", filler))
		if resp := p.response(); resp.StatusCode != http.StatusContinue {
			t.Fatalf("got %d", resp.StatusCode)
		}
		long := `{"model":"m","prompt":"` + strings.Repeat("x", 3*minBuffer) + `"}`
		for _, piece := range []string{long[:9], long[9:5000], long[5000:]} {
			p.send("%x\r\n%s\r\n", len(piece), piece)
		}
		p.send("0\r\n\r\n")
		resp, body := p.whole()
		expect(t, resp, body, 200, "")
		if g := <-got; g != "POST /v1/completions python "+long {
			t.Errorf("filler of %d: the engine got %.80q", filler, g)
		}
	}
}
