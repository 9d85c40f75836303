package load

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPrompt(t *testing.T) {
	f := func(tokens, want int) {
		t.Helper()
		p := string(appendPrompt(nil, 1, 2, tokens))
		if got := len(strings.Fields(p)); got != want {
			t.Errorf("%d tokens: got %d words, want %d", tokens, got, want)
		}
		if p != strings.Join(strings.Fields(p), " ") {
			t.Errorf("%q: want single spaces between words alone", p)
		}
		if again := string(appendPrompt(nil, 1, 2, tokens)); again != p {
			t.Errorf("the same request has two prompts: %q and %q", p, again)
		}
		if other := string(appendPrompt(nil, 2, 2, tokens)); other == p {
			t.Errorf("two seeds have the same prompt %q", p)
		}
	}
	f(1, 4)
	f(4, 4)
	f(5, 5)
	f(13, 13)
	f(14, 14)
	f(1000, 1000)
}

func TestWordsAreApart(t *testing.T) {
	all := strings.Fields(words)
	seen := make(map[string]bool)
	for _, w := range all {
		if len(w) != 3 || seen[w] {
			t.Errorf("%q: want each word once, of three letters", w)
		}
		seen[w] = true
	}
	if len(all) != 1<<wordBits {
		t.Errorf("%d words, want %d", len(all), 1<<wordBits)
	}
}

func TestNoTwoPromptsBeginAlike(t *testing.T) {
	seen := make(map[string]uint64)
	for n := range uint64(100_000) {
		begin := string(appendPrompt(nil, 7, n, 4))
		if other, ok := seen[begin]; ok {
			t.Fatalf("requests %d and %d both begin with %q", other, n, begin)
		}
		seen[begin] = n
	}
}

func TestTemplateIsJSON(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := DefaultConfig()
		cfg.PromptTokens, cfg.OutputTokens = 4, 7
		change(&cfg)
		tmpl := newTemplate(&cfg, `a "model"\`)
		got := tmpl.append(nil, &cfg, 3)
		if !json.Valid(got) {
			t.Errorf("no JSON: %s", got)
		}
		want = strings.Replace(want, "PROMPT", string(appendPrompt(nil, cfg.Seed, 3, 4)), 1)
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(func(c *Config) {}, `{"model":"a \"model\"\\","messages":[{"role":"user","content":"PROMPT"}],"max_tokens":7,"stream":true,"stream_options":{"include_usage":true}}`)
	f(func(c *Config) { c.Endpoint, c.Stream, c.IgnoreEOS = Completions, false, true }, `{"model":"a \"model\"\\","prompt":"PROMPT","max_tokens":7,"ignore_eos":true}`)
}

func TestBodyIsNotAllocated(t *testing.T) {
	cfg := DefaultConfig()
	tmpl := newTemplate(&cfg, "m")
	var body []byte
	n := 0
	if allocs := testing.AllocsPerRun(1000, func() {
		body = tmpl.append(body[:0], &cfg, n)
		n++
	}); allocs != 0 {
		t.Errorf("%v allocations a body, want 0", allocs)
	}
}
