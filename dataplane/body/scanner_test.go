package body

import (
	"math"
	"strings"
	"testing"
)

// scan reads what must be a good body.
func scan(t *testing.T, body string) Fields {
	t.Helper()
	var s Scanner
	var f Fields
	if err := s.Scan([]byte(body), &f); err != nil {
		t.Errorf("%.200s: %v", body, err)
	}
	return f
}

func TestScanNothing(t *testing.T) {
	f := func(body string) {
		t.Helper()
		if got := scan(t, body); got.HasModel || got.HasStream || got.MaxTokens != -1 || got.N != 1 ||
			got.Prompt != (Span{}) || got.PromptKey != KeyNone || got.Tokens != 0 {
			t.Errorf("%s: got %+v", body, got)
		}
	}
	f(`{}`)
	f(" \t\r\n{ \t\r\n} \t\r\n")
	f(`{"model":null,"stream":null,"max_tokens":null,"max_completion_tokens":null,"n":null,"prompt":null,"messages":null,"input":null}`)

	// Not at the top level, or not quite the key.
	f(`{"a":{"model":"m","n":2,"stream":true,"prompt":"p"},"b":[{"model":7,"max_tokens":5}]}`)
	f(`{"Model":7,"model ":7,"mode":7,"":7,"max_token":"x","prompts":{},"N":[],"max_completion_tokens_":{}}`)
	f(`{"\u006dodels":7,"mode\u006c\u0000":7,"ma\u0078_completion_tokens_and_more":"x"}`)

	// Other keys may stand twice and hold anything.
	f(`{"a":1,"a":[],"b":{"model":1,"model":2}}`)
	f(`{"a":[1,-0,0.5,1e9,-1.5E-7,2e+3,true,false,null,"",[],{},[[]],{"a":{}}]}`)
}

func TestScanModel(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		got := scan(t, `{"a":[0],"model":`+value+`,"z":{}}`)
		if !got.HasModel || string(got.Model) != want {
			t.Errorf("%s: got %q (has: %v), want %q", value, got.Model, got.HasModel, want)
		}
	}
	f(`"qwen"`, "qwen")
	f(`""`, "")
	f(`"Qwen/Qwen3-32B"`, "Qwen/Qwen3-32B")
	f(`"Qwen\/Qwen3"`, "Qwen/Qwen3")
	f(`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t")
	f(`"\u0041\u00e9\u4e2D\uFFFF\u0000"`, "Aé中\uffff\x00")
	f(`"\ud83d\ude00"`, "😀")
	f(`"模型😀"`, "模型😀")

	// Halves of surrogate pairs.
	f(`"a\ud83d"`, "a\ufffd")
	f(`"\ude00\ud83d"`, "\ufffd\ufffd")
	f(`"\ud83dx"`, "\ufffdx")
	f(`"\ud83d\n"`, "\ufffd\n")
	f(`"\ud83d\ud83d\ude00"`, "\ufffd😀")

	// Its bound counts the name without escapes.
	long := strings.Repeat("m", maxModel)
	f(`"`+long+`"`, long)
	f(`"`+strings.Repeat(`\u006d`, maxModel)+`"`, long)

	// A key with escapes neither hides nor spoils a model that has some.
	if got := scan(t, `{"mod\u0065l":"a\nb","stre\u0061m":"tru\u0065"}`); string(got.Model) != "a\nb" || !got.Stream {
		t.Errorf("got %q, stream %v", got.Model, got.Stream)
	}
}

func TestScanModelLiesInBody(t *testing.T) {
	b := []byte(`{"model":"qwen"}`)
	var s Scanner
	var f Fields
	if err := s.Scan(b, &f); err != nil {
		t.Fatal(err)
	}
	if &f.Model[0] != &b[len(`{"model":"`)] {
		t.Error("the model was copied")
	}
}

func TestScanStream(t *testing.T) {
	f := func(value string, want bool) {
		t.Helper()
		got := scan(t, `{"stream": `+value+` }`)
		if !got.HasStream || got.Stream != want {
			t.Errorf("%s: got %v (has: %v), want %v", value, got.Stream, got.HasStream, want)
		}
	}
	f(`true`, true)
	f(`false`, false)
	f(`"true"`, true)
	f(`"false"`, false)
	f(`"True"`, true)
	f(`"FALSE"`, false)
	f(`"\u0074rue"`, true)
}

func TestScanCounts(t *testing.T) {
	f := func(body string, maxTokens, n int) {
		t.Helper()
		if got := scan(t, body); got.MaxTokens != maxTokens || got.N != n {
			t.Errorf("%s: got max_tokens %d, n %d, want %d, %d", body, got.MaxTokens, got.N, maxTokens, n)
		}
	}
	f(`{"max_tokens":128}`, 128, 1)
	f(`{"max_completion_tokens":64,"n":3}`, 64, 3)
	f(`{"max_tokens":128,"max_completion_tokens":64}`, 64, 1)
	f(`{"max_completion_tokens":64,"max_tokens":128}`, 64, 1)
	f(`{"max_completion_tokens":null,"max_tokens":128}`, 128, 1)
	f(`{"max_tokens":128,"max_completion_tokens":null}`, 128, 1)
	f(`{"max_completion_tokens":64,"max_tokens":null}`, 64, 1)
	f(`{"max_tokens":0}`, 0, 1)
	f(`{"max_tokens":-5}`, -5, 1)

	// However the number is written.
	f(`{"max_tokens":34.0}`, 34, 1)
	f(`{"max_tokens":340e-1}`, 34, 1)
	f(`{"max_tokens":0.34e2}`, 34, 1)
	f(`{"max_tokens":3.40E+1}`, 34, 1)
	f(`{"max_tokens":1200e-2}`, 12, 1)
	f(`{"max_tokens":0e999999999999999999999}`, 0, 1)
	f(`{"max_tokens":-0.0}`, 0, 1)

	// Beyond what counts.
	f(`{"max_tokens":2147483646}`, math.MaxInt32-1, 1)
	f(`{"max_tokens":2147483648}`, math.MaxInt32, 1)
	f(`{"max_tokens":-99999999999999999999999}`, -math.MaxInt32, 1)
	f(`{"max_tokens":1e999999999999999999999}`, math.MaxInt32, 1)
	f(`{"max_tokens":`+strings.Repeat("9", 1<<16)+`}`, math.MaxInt32, 1)
	f(`{"max_tokens":1`+strings.Repeat("0", 1<<16)+`e-65536}`, 1, 1)
}

func TestScanPrompt(t *testing.T) {
	f := func(body string, k Key, prompt string, text, tokens int) {
		t.Helper()
		got := scan(t, body)
		if got.PromptKey != k || string(got.Prompt.Of([]byte(body))) != prompt || got.TextBytes != text || got.Tokens != tokens {
			t.Errorf("%s: got %v %q, text %d, tokens %d", body, got.PromptKey, got.Prompt.Of([]byte(body)), got.TextBytes, got.Tokens)
		}
	}
	prompt := func(value string, text, tokens int) {
		t.Helper()
		f(`{"prompt": `+value+` ,"model":"m"}`, KeyPrompt, value, text, tokens)
	}
	input := func(value string, text, tokens int) {
		t.Helper()
		f(`{"input":`+value+`}`, KeyInput, value, text, tokens)
	}
	messages := func(value string, text int) {
		t.Helper()
		f(`{"messages":`+value+`}`, KeyMessages, value, text, 0)
	}

	prompt(`"hello"`, 5, 0)
	prompt(`""`, 0, 0)
	prompt(`"\n\"\u00e9 中"`, 1+1+3+1+3, 0)
	prompt(`[]`, 0, 0)
	prompt(`["ab", "c" , ""]`, 3, 0)
	prompt(`[1, 22 ,333]`, 0, 3)
	prompt(`[-1,2.0,3e0]`, 0, 3)
	prompt(`[[1,2],[],[ 3 ]]`, 0, 3)
	prompt(`[[]]`, 0, 0)

	input(`"hello"`, 5, 0)
	input(`[]`, 0, 0)
	input(`["ab","c"]`, 3, 0)
	input(`[1,2]`, 0, 2)
	input(`[[1,2],[3]]`, 0, 3)
	input(`["ab",{"text":"cd","n":7}]`, 4, 0)
	input(`[{"role":"user","content":[{"type":"input_text","text":"hi"}]}]`, len("user"+"input_text"+"hi"), 0)

	messages(`[]`, 0)
	messages(`[{"role":"user","content":"hi"}]`, len("user"+"hi"))
	messages(`[{"role":"user","content":[{"type":"text","text":"hi"},7,[8],null]}]`, len("user"+"text"+"hi"))

	// Neither keys nor media are text.
	messages(`[{"url":"data:image/png;base64,AAAA"}]`, 0)
	messages(`[{"url":"data:image\/png;base64,AAAA"}]`, 0)
	messages(`[{"url":"data:;base64,"}]`, 0)
	messages(`[{"url":"https://a/b"}]`, len("https://a/b"))
	messages(`[{"input_audio":{"data":"AAAA","format":"wav"}}]`, len("wav"))
	messages(`[{"data" : "AAAA"},"bc"]`, 2)
	messages(`[{"data":["ab"]},{"data":{"x":"ab"}},{"data":{}},{"data":[]},"ab"]`, 6)
	messages(`["data:"]`, len("data:"))
	messages(`["data: [DONE]"]`, len("data: [DONE]"))
	messages(`[{"content":"data:;base64,a b c"}]`, len("data:;base64,a b c")) // what a model reads
	prompt(`"data: a log"`, len("data: a log"), 0)
	prompt(`["data:a,b"]`, len("data:a,b"), 0)

	// The one with the most in it of several; a template is none.
	f(`{"prompt":"hello","messages":["a"]}`, KeyPrompt, `"hello"`, 5, 0)
	f(`{"prompt":[1],"input":"hello"}`, KeyInput, `"hello"`, 5, 0)
	f(`{"prompt":[[],[],[],[],[],[],[]],"messages":["hello"]}`, KeyMessages, `["hello"]`, 5, 0)
	f(`{"messages":["hello"],"prompt":[[],[],[],[],[],[],[]]}`, KeyMessages, `["hello"]`, 5, 0)
	f(`{"input":"hello","prompt":[1,2,3,4,5]}`, KeyPrompt, `[1,2,3,4,5]`, 0, 5)
	f(`{"prompt":{"id":"pmpt","variables":{"a":"long text"}},"input":"hi"}`, KeyInput, `"hi"`, 2, 0)
	f(`{"input":"hi","prompt":{"id":"pmpt"}}`, KeyInput, `"hi"`, 2, 0)
	f(`{"prompt":null,"input":"hi"}`, KeyInput, `"hi"`, 2, 0)
}

// A prompt may stand anywhere: what a model reads costs as much as any.
func TestScanBeside(t *testing.T) {
	f := func(body string, text, tokens int, media bool) {
		t.Helper()
		got := scan(t, body)
		if got.TextBytes != text || got.Tokens != tokens || got.Media != media {
			t.Errorf("%s: text %d, tokens %d, media %v, want %d, %d, %v", body, got.TextBytes, got.Tokens, got.Media, text, tokens, media)
		}
	}
	const tools = `[{"type":"function","function":{"name":"f","parameters":{"a":{"data":"b c"}}}}]`
	f(`{"tools":`+tools+`}`, len(tools)-2, 0, false)
	f(`{"messages":["hi"],"tools":`+tools+`}`, len(tools), 0, false)
	f(`{"tools":`+tools+`,"messages":["hi"]}`, len(tools), 0, false)
	f(`{"system":"be brief","messages":["hi"]}`, 10, 0, false)
	f(`{"input":"hi","instructions":"be\n\u4e2d"}`, 2+2+1+3, 0, false)
	f(`{"text":["ab","c"],"sampling_params":{"stop":["x"]}}`, len(`"ab","c"`), 0, false)
	f(`{"t\u0065xt":"ab"}`, 2, 0, false)
	f(`{"any":"ab","any":"c"}`, 3, 0, false)
	f(`{"any":null,"b":true,"c":12345.67}`, 0, 0, false)
	f(`{"input_ids":[[1,2],[3]],"input_id\u0073":[4],"x":[5]}`, 1, 4, false)
	f(`{"query":"ab","documents":["c",{"text":"d"}]}`, 2+len(`"c",{"text":"d"}`), 0, false)
	f(`{"response_format":{"schema":{"a":"b"}},"kv_transfer_params":{"blocks":[1,2,3]}}`, 0, 0, false)

	// Media are no text, whatever they look like.
	f(`{"text":"ab","image_data":"AAAAAAAA"}`, 2, 0, true)
	f(`{"text":"ab","image_data":["AAAAAAAA",{"data":"AA"}]}`, 2, 0, true)
	f(`{"text":"ab","image_data":null}`, 2, 0, false)
	f(`{"prompt_embeds":"AAAAAAAA"}`, 0, 0, true)
	f(`{"documents":[{"image_url":{"url":"data:image/png;base64,AAAAAAAA"}}]}`, len(`{"image_url":{"url":""}}`), 0, true)

	// But in a tool's schema nothing is media.
	f(`{"tools":[{"url":"data:;base64,a b"}]}`, len(`{"url":"data:;base64,a b"}`), 0, false)
}

// A Scanner is used for one body after the other.
func TestScanAgain(t *testing.T) {
	var s Scanner
	var f Fields
	f.Model, f.MaxTokens = []byte("old"), 7
	for range 2 {
		if err := s.Scan([]byte(`{"model":"m","max_completion_tokens":5,"prompt":"p"}`), &f); err != nil || f.MaxTokens != 5 {
			t.Fatalf("got %+v, %v", f, err)
		}
		if err := s.Scan([]byte(`{"max_tokens":9}`), &f); err != nil || f.MaxTokens != 9 || f.HasModel || f.Prompt.Len() != 0 {
			t.Fatalf("got %+v, %v", f, err)
		}
		if err := s.Scan([]byte(`{"model":"m","n":3,"stream":true,"n":4}`), &f); err == nil || f.HasModel || f.HasStream || f.N != 1 {
			t.Fatalf("got %+v, %v", f, err)
		}
	}
}

func TestScanDepth(t *testing.T) {
	f := func(key, open, closed string, levels int, good bool) {
		t.Helper()
		body := `{"` + key + `":` + strings.Repeat(open, levels) + "1" + strings.Repeat(closed, levels) + `}`
		var s Scanner
		var got Fields
		if err := s.Scan([]byte(body), &got); (err == nil) != good {
			t.Errorf("%s of %d levels: %v", key, levels, err)
		}
	}
	for _, key := range []string{"a", "messages", "input"} {
		f(key, "[", "]", MaxDepth-1, true)
		f(key, "[", "]", MaxDepth, false)
		f(key, "[", "]", 1<<20, false)
	}
	f("a", `{"a":`, "}", MaxDepth-1, true)
	f("a", `{"a":`, "}", MaxDepth, false)
	f("a", `[{"a":`, "}]", (MaxDepth-1)/2, true)
	f("a", `[{"a":`, "}]", MaxDepth/2, false)
	f("prompt", "[", "]", 2, true)
	f("prompt", "[", "]", 3, false)
}

// Levels that were objects before are arrays now, across the words of nest.
func TestScanNestIsCleared(t *testing.T) {
	deep := func(open, closed string) string {
		return strings.Repeat(open, 200) + "1" + strings.Repeat(closed, 200)
	}
	scan(t, `{"a":`+deep(`{"a":`, "}")+`,"b":`+deep("[", "]")+`,"c":`+deep(`{"a":`, "}")+`}`)
}

func TestScanAllocs(t *testing.T) {
	f := func(body string) {
		t.Helper()
		b := []byte(body)
		var s Scanner
		var f Fields
		var err error
		if n := testing.AllocsPerRun(100, func() { err = s.Scan(b, &f) }); n != 0 || err != nil {
			t.Errorf("%.60s: %v allocations, error %v", body, n, err)
		}
	}
	f(chat(200))
	f(chat(4 << 10))
	f(completion("plain text, "))
	f(completion(`with \"escapes\"\n`))
	f(completion("文字"))
	f(`{"mod\u0065l":"a\u0062c","str\u0065am":"tr\u0075e","m\u0061x_tokens":1e2,"prompt":[[1,2],[3]]}`)
	f(`{"input":[1,"a",[1],{"data":"x"}],"prompt":{"id":"x"}}`)
}

func TestScanMedia(t *testing.T) {
	f := func(body string, want bool) {
		t.Helper()
		if got := scan(t, body).Media; got != want {
			t.Errorf("%s: media %v", body, got)
		}
	}
	f(`{"messages":[{"role":"user","content":"an image_url"}]}`, false)
	f(`{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a/b"}}]}]}`, true)
	f(`{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA"}}]}]}`, true)
	f(`{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}]}`, true)
	f(`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]}`, true)
	f(`{"messages":[{"role":"user","content":"hi"}],"tools":[{"parameters":{"properties":{"data":{"type":"string"}}}}]}`, false)
}
