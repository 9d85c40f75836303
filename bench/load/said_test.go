package load

import (
	"encoding/json"
	"strings"
	"testing"

	"penstock/bench/workload"
)

func TestAnswersAreBounded(t *testing.T) {
	a := newAnswers()
	for n := range uint64(100) {
		a.put(n, make([]byte, maxAnswerBytes/50))
	}
	if _, ok := a.of(0); ok || a.bytes > maxAnswerBytes {
		t.Errorf("%d bytes are kept, want at most %d and the oldest gone", a.bytes, maxAnswerBytes)
	}
	if text, ok := a.of(99); !ok || len(text) != maxAnswerBytes/50 {
		t.Error("the newest is not kept")
	}
	a = newAnswers()
	for n := range uint64(maxAnswers + 5) {
		a.put(n, nil)
	}
	if len(a.text) != maxAnswers || len(a.order) != maxAnswers {
		t.Errorf("%d are kept, want %d", len(a.text), maxAnswers)
	}
}

func TestAskedBody(t *testing.T) {
	said := newAnswers()
	said.put(7, []byte(`so \"it\" is`))
	said.put(8, nil) // it failed: a text of the same length is in its place
	q := &workload.Request{Output: 5, Prompt: []workload.Span{{Text: 1, Tokens: 3}, {Text: 7, Tokens: 4}, {Text: 2, Tokens: 1}, {Text: 8, Tokens: 2}, {Text: 3, Tokens: 1}}}
	text := func(n uint64, tokens int) string { return string(appendPassage(nil, n, tokens)) }
	f := func(endpoint, want string) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.Endpoint, cfg.Stream, cfg.IgnoreEOS = endpoint, false, true
		tmpl := newTemplate(&cfg, "m")
		got := string(tmpl.appendAsked(nil, q, said))
		if !json.Valid([]byte(got)) || got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(Completions, `{"model":"m","prompt":"`+text(1, 3)+`so \"it\" is`+text(2, 1)+text(8, 2)+text(3, 1)+`","max_tokens":5,"ignore_eos":true}`)
	f(Chat, `{"model":"m","messages":[{"role":"user","content":"`+text(1, 3)+`"},{"role":"assistant","content":"so \"it\" is"},`+
		`{"role":"user","content":"`+text(2, 1)+`"},{"role":"assistant","content":"`+text(8, 2)+`"},{"role":"user","content":"`+text(3, 1)+`"}],"max_tokens":5,"ignore_eos":true}`)
}

func TestPassages(t *testing.T) {
	long := string(appendPassage(nil, 42, 100))
	if short := string(appendPassage(nil, 42, 33)); !strings.HasPrefix(long, short) || len(short) != 4*33 {
		t.Errorf("%q does not begin with %q, of 33 words", long, short)
	}
	if other := string(appendPassage(nil, 43, 100)); strings.HasPrefix(other, long[:16]) {
		t.Error("two texts begin alike")
	}
}

func TestAskedBodyIsNotAllocated(t *testing.T) {
	cfg := DefaultConfig()
	tmpl, said := newTemplate(&cfg, "m"), newAnswers()
	q := &workload.Request{Output: 5, Prompt: []workload.Span{{Text: 1, Tokens: 300}, {Text: 2, Tokens: 40}}}
	var body []byte
	if allocs := testing.AllocsPerRun(1000, func() { body = tmpl.appendAsked(body[:0], q, said) }); allocs != 0 {
		t.Errorf("%v allocations a body, want 0", allocs)
	}
}

func TestKeptAnswerIsNotAllocated(t *testing.T) {
	a := answer{keep: true, said: make([]byte, 0, 1<<16)}
	data := []byte(`{"choices":[{"delta":{"content":" t7"}}]}`)
	if allocs := testing.AllocsPerRun(1000, func() { a.event(data) }); allocs != 0 {
		t.Errorf("%v allocations a token, want 0", allocs)
	}
	if !strings.HasPrefix(string(a.said), " t7 t7") {
		t.Errorf("kept %.20q", a.said)
	}
}

func TestAppendString(t *testing.T) {
	f := func(v, want string) {
		t.Helper()
		if got := string(appendString(nil, []byte(v))); got != want {
			t.Errorf("%s: got %q, want %q", v, got, want)
		}
	}
	f(`"a"}`, `a`)
	f(`"a\"b\\"}`, `a\"b\\`)
	f(`"a`, ``)
	f(`"a\`, ``)
	f(`"`, ``)
}
