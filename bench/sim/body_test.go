package sim

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzAsk: whatever comes in is refused or can be tokenized, and what is
// tokenized is text again.
func FuzzAsk(f *testing.F) {
	f.Add(`{"prompt":"Water","stream":true,"stop":["a","b"]}`)
	f.Add(`{"prompt":[["a"],[1]],"input":[1,2]}`)
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"\ud83d\ude00"}]}]}`)
	f.Add(`{"prompt":"\ud800","n":-1}`)
	f.Add(`{"prompt":"üüü\u0000","stream":"TRUE"}`)
	f.Fuzz(func(t *testing.T, body string) {
		var a ask
		if json.Unmarshal([]byte(body), &a) != nil {
			return
		}
		for _, p := range a.Prompt {
			ids := 0
			p.each(func(uint32) { ids++ })
			if ids < len(p.text)/4 {
				t.Errorf("%q: %d tokens", p.text, ids)
			}
			said := ""
			eachToken(p.text, func(id uint32) { said += tokenText(id) })
			// A character 0 at the end of a token is lost.
			if utf8.ValidString(p.text) && len(said) != len(p.text) && !containsZero(p.text) {
				t.Errorf("%q came back as %q", p.text, said)
			}
		}
		chatPrompt(a.Messages, 16)
	})
}

func containsZero(s string) bool {
	for _, b := range []byte(s) {
		if b == 0 {
			return true
		}
	}
	return false
}
