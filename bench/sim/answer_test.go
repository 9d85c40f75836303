package sim

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"
)

var created = regexp.MustCompile(`"created":\d{10},`)

// The words that all engines say to "Water".
const w1, w2 = "$1", "$2"

// TestWording compares the answers with what the engines send, byte for byte.
func TestWording(t *testing.T) {
	f := func(engine, path, body, want string) {
		t.Helper()
		r := newRig(t, func(c *Config) { c.Engine = engine })
		response, got := r.do("POST", path, body)
		got = created.ReplaceAllString(got, `"created":0,`)
		want = strings.ReplaceAll(strings.TrimPrefix(want, "\n"), "\n", "\n\n")
		for n, w := range strings.Fields(answerTo(t, r, path)) {
			want = strings.ReplaceAll(want, []string{w1, w2}[n], " "+w)
		}
		if response.StatusCode != 200 || got != want {
			t.Errorf("%s: %s: got\n%s\nwant\n%s", engine, response.Status, got, want)
		}
	}
	const (
		complete       = `{"model":"llama2","prompt":"Water","max_tokens":2}`
		completeStream = `{"model":"llama2","prompt":"Water","max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`
		chat           = `{"model":"llama2","messages":[{"role":"user","content":"Water"}],"max_tokens":2}`
		chatStream     = `{"model":"llama2","messages":[{"role":"user","content":"Water"}],"max_tokens":2,"stream":true,"stream_options":{"include_usage":true}}`
	)
	f("vllm", "/v1/completions", completeStream, `
data: {"id":"cmpl-r1","object":"text_completion","created":0,"model":"llama2","choices":[{"index":0,"text":"$1","logprobs":null,"finish_reason":null,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}
data: {"id":"cmpl-r1","object":"text_completion","created":0,"model":"llama2","choices":[{"index":0,"text":"$2","logprobs":null,"finish_reason":"length","stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}
data: {"id":"cmpl-r1","object":"text_completion","created":0,"model":"llama2","choices":[],"usage":{"prompt_tokens":2,"total_tokens":4,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}
data: [DONE]
`)
	f("vllm", "/v1/chat/completions", chatStream, `
data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null}
data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"content":"$1"},"logprobs":null,"finish_reason":null,"token_ids":null}]}
data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"content":"$2"},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}]}
data: {"id":"chatcmpl-r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}}}
data: [DONE]
`)
	f("vllm", "/v1/chat/completions", chat, `{"id":"chatcmpl-r1","object":"chat.completion","created":0,"model":"llama2","choices":[{"index":0,"message":{"role":"assistant","content":"$1$2","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning":null},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0}},"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}`)
	f("vllm-old", "/v1/completions", completeStream, `
data: {"id":"cmpl-r1","object":"text_completion","created":0,"model":"llama2","choices":[{"index":0,"text":"$1","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null}
data: {"id":"cmpl-r1","object":"text_completion","created":0,"model":"llama2","choices":[{"index":0,"text":"$2","logprobs":null,"finish_reason":"length","stop_reason":null}],"usage":null}
data: {"id":"cmpl-r1","object":"text_completion","created":0,"model":"llama2","choices":[],"usage":{"prompt_tokens":2,"total_tokens":4,"completion_tokens":2}}
data: [DONE]
`)
	f("sglang", "/v1/chat/completions", chatStream, `
data: {"id":"r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
data: {"id":"r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"role":null,"content":"$1","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
data: {"id":"r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"role":null,"content":"$2","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}
data: {"id":"r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"length","matched_stop":null}],"usage":null}
data: {"id":"r1","object":"chat.completion.chunk","created":0,"model":"llama2","choices":[],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0},"reasoning_tokens":0}}
data: [DONE]
`)
	f("bladellm", "/v1/completions", strings.Replace(completeStream, "true", `"true"`, 1), `
data: {"id":"r1","choices":[{"finish_reason":"","index":0,"logprobs":null,"text":"$1"}],"object":"text_completion","usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3},"error_info":null}
data: {"id":"r1","choices":[{"finish_reason":"length","index":0,"logprobs":null,"text":"$2"}],"object":"text_completion","usage":{"prompt_tokens":2,"completion_tokens":2,"total_tokens":4},"error_info":null}
[DONE]
`)
	for engine := range dialects { // all the others are JSON at least, and say the same
		r := newRig(t, func(c *Config) { c.Engine = engine })
		for path, bodies := range map[string][2]string{"/v1/completions": {complete, completeStream}, "/v1/chat/completions": {chat, chatStream}} {
			whole := parse(t, r.post(path, bodies[0])).Choices[0]
			events, err := r.open(path, bodies[1]).rest()
			if err != io.EOF || said(t, events) != whole.Text+whole.Message.Content {
				t.Errorf("%s %s: %v: the stream says %q, the whole %q", engine, path, err, said(t, events), whole.Text+whole.Message.Content)
			}
		}
	}
}

// answerTo asks the same of an engine without a stream.
func answerTo(t *testing.T, r *rig, path string) string {
	o := output{tokens: 2, bytes: 8}
	p := newPrompt(16, 0)
	if path == "/v1/completions" {
		eachToken("Water", p.add)
	} else {
		eachChatToken([]message{{Role: "user", Content: content{text: "Water"}}}, p.add)
	}
	o = r.Instances()[0].plan(p, 0, &o.tokens, &ask{})
	return o.text(0) + o.text(1)
}

func TestTextDependsOnPromptAndPositionAlone(t *testing.T) {
	ask := func(change func(c *Config), prompt string, tokens string) string {
		r := newRig(t, change)
		return parse(t, r.post("/v1/completions", `{"prompt":"`+prompt+`","max_tokens":`+tokens+`}`)).Choices[0].Text
	}
	one := ask(nil, "Water", "30")
	f := func(change func(c *Config), tokens string) {
		t.Helper()
		if got := ask(change, "Water", tokens); !strings.HasPrefix(one, got) {
			t.Errorf("got %q, want the beginning of %q", got, one)
		}
	}
	f(nil, "30")
	f(nil, "10")
	f(func(c *Config) { c.Seed = 7 }, "30")
	f(func(c *Config) { c.BlockSize = 4 }, "30")
	f(func(c *Config) { c.Engine = "sglang" }, "30")
	if len(one) != 120 || ask(nil, "Wader", "30") == one {
		t.Errorf("another prompt, the same answer, or one of %d bytes", len(one))
	}
}

func TestChoices(t *testing.T) {
	r := newRig(t, nil)
	whole := parse(t, r.post("/v1/completions", `{"prompt":["a","b"],"n":2,"max_tokens":3}`))
	texts := map[string]bool{}
	for n, c := range whole.Choices {
		texts[c.Text] = true
		if c.Index != n {
			t.Errorf("choice %d has the index %d", n, c.Index)
		}
	}
	if len(texts) != 4 || whole.Usage.Prompt != 2 || whole.Usage.Completion != 12 {
		t.Errorf("%d different choices, usage %+v, want 4, 2 and 12 tokens", len(texts), whole.Usage)
	}
	events, _ := r.open("/v1/completions", `{"prompt":["a","b"],"n":2,"max_tokens":3,"stream":true}`).rest()
	streamed := make([]string, 4)
	for _, e := range events[:len(events)-1] {
		for _, c := range parse(t, e).Choices {
			streamed[c.Index] += c.Text
		}
	}
	for n, c := range whole.Choices {
		if streamed[n] != c.Text {
			t.Errorf("choice %d: %q in a stream, %q in one piece", n, streamed[n], c.Text)
		}
	}
}

func TestEnds(t *testing.T) {
	r := newRig(t, nil)
	f := func(body, reason string, tokens int) chunk {
		t.Helper()
		c := parse(t, r.post("/v1/completions", body))
		if c.Choices[0].Finish != reason || c.Usage.Completion != tokens {
			t.Errorf("%s: %s after %d tokens, want %s after %d", body, c.Choices[0].Finish, c.Usage.Completion, reason, tokens)
		}
		return c
	}
	f(`{"prompt":"Water"}`, "length", 16)
	all := f(`{"prompt":"Water","max_tokens":40}`, "length", 40).Choices[0].Text
	stop := all[22:25] // within the sixth and seventh word
	cut := f(`{"prompt":"Water","max_tokens":40,"stop":["never",`+quoted(stop)+`]}`, "stop", strings.Index(all, stop)/4+1+
		(strings.Index(all, stop)%4+2)/4)
	if c := cut.Choices[0]; c.Text != all[:strings.Index(all, stop)] || c.Stop != stop {
		t.Errorf("got %q, stopped by %q, want %q, %q", c.Text, c.Stop, all[:strings.Index(all, stop)], stop)
	}
	events, _ := r.open("/v1/completions", `{"prompt":"Water","max_tokens":40,"stream":true,"stop":`+quoted(stop)+`}`).rest()
	if got := said(t, events); got != cut.Choices[0].Text {
		t.Errorf("the stream says %q, the whole %q", got, cut.Choices[0].Text)
	}
	free := parse(t, r.post("/v1/chat/completions", `{"messages":[{"role":"user","content":"Water"}]}`))
	if free.Choices[0].Finish != "stop" || 4*free.Usage.Completion != len(free.Choices[0].Message.Content) {
		t.Errorf("without max_tokens: %+v", free)
	}
}

// The second turn of a conversation finds the first one, answer included.
func TestConversationHitsThePrefixCache(t *testing.T) {
	r := newRig(t, nil)
	turn := func(messages ...map[string]string) chunk {
		body, _ := json.Marshal(map[string]any{"messages": messages, "max_tokens": 40})
		return parse(t, r.post("/v1/chat/completions", string(body)))
	}
	user := map[string]string{"role": "user", "content": strings.Repeat("What does a penstock do? ", 10)}
	first := turn(user)
	again := turn(user, map[string]string{"role": "assistant", "content": first.Choices[0].Message.Content}, user)
	known := first.Usage.Prompt + first.Usage.Completion - 1 // the last token was never computed
	if want := known / 16 * 16; first.Usage.Details.Cached != 0 || again.Usage.Details.Cached != want {
		t.Errorf("%d and %d tokens cached, want 0 and %d", first.Usage.Details.Cached, again.Usage.Details.Cached, want)
	}
	if s := r.stats(); s.PrefixHits != int64(again.Usage.Details.Cached) || s.Requests != 2 || s.TokensGenerated != 80 {
		t.Errorf("got %+v", s)
	}
}

func TestContinuousUsage(t *testing.T) {
	r := newRig(t, nil)
	events, _ := r.open("/v1/completions",
		`{"prompt":"Water","max_tokens":3,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`).rest()
	for n, e := range events[:3] {
		if u := parse(t, e).Usage; u == nil || u.Completion != n+1 || u.Total != n+3 {
			t.Errorf("event %d: %s", n, e)
		}
	}
}

func TestBodies(t *testing.T) {
	r := newRig(t, nil)
	f := func(path, body string, tokens int) {
		t.Helper()
		if got := parse(t, r.post(path, body)).Usage; got.Prompt != tokens {
			t.Errorf("%s: %d prompt tokens, want %d", body, got.Prompt, tokens)
		}
	}
	const chats = "/v1/chat/completions"
	f("/v1/completions", `{"prompt":"12345678","max_tokens":1}`, 2)
	f("/v1/completions", `{"prompt":"\u00fc\u00fc\u00fc","max_tokens":1}`, 2)
	f("/v1/completions", `{"prompt":[1,2,3],"max_tokens":1}`, 3)
	f("/v1/completions", `{"prompt":[[1,2,3],[4]],"max_tokens":1}`, 4)
	f("/v1/completions", `{"prompt":"a","n_predict":34,"best_of":1,"temperature":0.0,"max_tokens":1,"unknown":{"a":[]}}`, 1)
	f(chats, `{"messages":[],"max_tokens":1}`, 1)
	f(chats, `{"messages":[{"role":"user","content":[{"type":"text","text":"abcd"},{"type":"image_url","image_url":{"url":"x"}}]}],"max_tokens":1}`, 5)
	f(chats, `{"messages":[{"role":"assistant","content":null,"tool_calls":[]}],"max_completion_tokens":1}`, 3)
	f(chats, `{"messages":[],"max_completion_tokens":null,"max_tokens":null,"stream":"false","stop":null}`, 1)
}

func TestEventAllocatesNothing(t *testing.T) {
	r := newRig(t, nil)
	i := r.Instances()[0]
	c := newCall(1, true)
	c.choices[0].prompt, c.choices[0].output = newPrompt(16, 0), output{tokens: 1 << 20, bytes: 1 << 22}
	for _, words := range []*wording{&i.dialect.completion, &i.dialect.chat} {
		k := &talk{instance: i, call: c, words: words, fields: fields{id: `"r1"`, model: `"llama2"`}, buf: make([]byte, 0, 4096)}
		if n := testing.AllocsPerRun(100, func() {
			k.buf = k.buf[:0]
			k.token(0, &c.choices[0])
		}); n != 0 || len(k.buf) == 0 {
			t.Errorf("%v allocations for an event of %d bytes, want 0", n, len(k.buf))
		}
	}
}
