package sim

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

func TestWhatAnEngineSaysOfItself(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxModelLen = 4096 })
	f := func(path, want string) {
		t.Helper()
		if got := r.get(path); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	f("/health", "")
	f("/ping", "")
	f("/version", `{"version":"0.32.0"}`)
	f("/load", `{"server_load":0}`)
	var models struct {
		Data []struct {
			ID    string
			Owner string `json:"owned_by"`
			Len   int    `json:"max_model_len"`
		}
	}
	if err := json.Unmarshal([]byte(r.get("/v1/models")), &models); err != nil {
		t.Fatal(err)
	}
	if m := models.Data; len(m) != 1 || m[0].ID != "llama2" || m[0].Owner != "vllm" || m[0].Len != 4096 {
		t.Errorf("got %+v", m)
	}
}

func TestTokenize(t *testing.T) {
	r := newRig(t, nil)
	f := func(text string, strs ...string) {
		t.Helper()
		body, _ := json.Marshal(map[string]any{"prompt": text, "return_token_strs": true})
		var got struct {
			Count  int
			Tokens json.RawMessage
			Strs   []string `json:"token_strs"`
		}
		if err := json.Unmarshal([]byte(r.post("/tokenize", string(body))), &got); err != nil {
			t.Fatal(err)
		}
		if got.Count != len(strs) || strings.Join(got.Strs, "|") != strings.Join(strs, "|") {
			t.Errorf("%q: got %q, want %q", text, got.Strs, strs)
		}
		var back struct{ Prompt string }
		if err := json.Unmarshal([]byte(r.post("/detokenize", `{"tokens":`+string(got.Tokens)+`}`)), &back); err != nil || back.Prompt != text {
			t.Errorf("%q came back as %q, %v", text, back.Prompt, err)
		}
	}
	f("Water is wet", "Wate", "r is", " wet")
	f("äöü", "äö", "ü")
	f("水は濡れ", "水", "は", "濡", "れ")
	f("a😀b", "a", "😀", "b")
	f("")
	if got := r.post("/tokenize", `{"messages":[{"role":"user","content":"abcd"}]}`); !strings.HasPrefix(got, `{"count":4,`) {
		t.Errorf("a chat: got %s", got)
	}
}

func TestEmbeddings(t *testing.T) {
	r := newRig(t, nil)
	ask := func(body string) (vectors []any) {
		var got struct {
			Data  []struct{ Embedding any }
			Usage struct {
				Prompt int `json:"prompt_tokens"`
			}
		}
		if err := json.Unmarshal([]byte(r.post("/v1/embeddings", body)), &got); err != nil || got.Usage.Prompt == 0 {
			t.Fatalf("%s: %+v, %v", body, got, err)
		}
		for _, d := range got.Data {
			vectors = append(vectors, d.Embedding)
		}
		return vectors
	}
	two := ask(`{"model":"llama2","input":["a","b"],"encoding_format":"float"}`)
	if len(two) != 2 || len(two[0].([]any)) != dimensions {
		t.Fatalf("got %v, want two vectors of %d", two, dimensions)
	}
	raw, err := base64.StdEncoding.DecodeString(ask(`{"input":"a","encoding_format":"base64"}`)[0].(string))
	if err != nil || len(raw) != 4*dimensions {
		t.Errorf("in base64: %d bytes, %v, want %d", len(raw), err, 4*dimensions)
	}
	if r.stats().TokensGenerated != 0 || r.stats().Finished != 3 {
		t.Errorf("got %+v, want 3 finished and no token", r.stats())
	}
}

func TestErrors(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxModelLen = 64 })
	f := func(method, path, body string, status int, param, kind, message string) {
		t.Helper()
		response, got := r.do(method, path, body)
		var e struct {
			Error struct {
				Message, Type string
				Param         *string
				Code          int
			}
		}
		if err := json.Unmarshal([]byte(got), &e); err != nil {
			t.Fatalf("%s %s: %s: %v", path, body, got, err)
		}
		if e.Error.Param == nil {
			e.Error.Param = new(string)
		}
		if x := e.Error; response.StatusCode != status || x.Code != status || x.Type != kind || *x.Param != param || !strings.Contains(x.Message, message) {
			t.Errorf("%s %s: %s %s", path, body, response.Status, got)
		}
	}
	const completions, chats = "/v1/completions", "/v1/chat/completions"
	f("POST", chats, `{"model":"nope","messages":[]}`, 404, "model", "NotFoundError", "The model `nope` does not exist.")
	f("POST", chats, `{`, 400, "", "Bad Request", "json_invalid")
	f("POST", chats, ``, 400, "", "Bad Request", "json_invalid")
	f("POST", chats, `[]`, 400, "", "Bad Request", "value_error")
	f("POST", chats, `{}`, 400, "", "Bad Request", "('body', 'messages'), 'msg': 'Field required'")
	f("POST", completions, `{"prompt":null}`, 400, "", "Bad Request", "'prompt'")
	f("POST", completions, `{"prompt":""}`, 400, "", "BadRequestError", "must not be empty")
	f("POST", completions, `{"prompt":[]}`, 400, "", "BadRequestError", "must not be empty")
	f("POST", completions, `{"prompt":{"a":1}}`, 400, "", "Bad Request", "value_error")
	f("POST", completions, `{"prompt":"a","max_tokens":"ten"}`, 400, "", "Bad Request", "max_tokens")
	f("POST", completions, `{"prompt":"a","max_tokens":0}`, 400, "max_tokens", "BadRequestError", "at least 1")
	f("POST", completions, `{"prompt":"a","n":0}`, 400, "", "BadRequestError", "n must be")
	f("POST", completions, `{"prompt":"a","n":100000}`, 400, "", "BadRequestError", "n must be")
	f("POST", completions, `{"prompt":"a","stream":"maybe"}`, 400, "", "Bad Request", "boolean")
	f("POST", completions, `{"prompt":"a","stream_options":{"include_usage":true}}`, 400, "", "BadRequestError", "`stream=True`")
	f("POST", completions, `{"prompt":"a","max_tokens":64}`, 400, "max_tokens", "BadRequestError", "(64 > 64 - 1)")
	f("POST", completions, `{"prompt":"`+strings.Repeat("a", 256)+`"}`, 400, "", "BadRequestError", "maximum context length is 64 tokens")
	f("GET", completions, "", 405, "", "Method Not Allowed", "")
	f("POST", "/v1/nowhere", "{}", 404, "", "NotFoundError", "")
	f("POST", "/detokenize", "{}", 400, "", "Bad Request", "'tokens'")
	if s := r.stats(); s.Finished+s.Aborted != 0 || s.Running != 0 {
		t.Errorf("something of it came to the engine: %+v", s)
	}
	old := newRig(t, func(c *Config) { c.Engine = "vllm-old" })
	_, got := old.do("POST", chats, `{"model":"nope","messages":[]}`)
	if want := "{\"object\":\"error\",\"message\":\"The model `nope` does not exist.\",\"type\":\"NotFoundError\",\"param\":\"model\",\"code\":404}"; got != want {
		t.Errorf("old vLLM: got %s, want %s", got, want)
	}
}

func TestKey(t *testing.T) {
	r := newRig(t, func(c *Config) { c.APIKey = "sk-engine" })
	f := func(path string, status int, headers ...string) {
		t.Helper()
		response, body := r.do("GET", path, "", headers...)
		if response.StatusCode != status || (status == 401 && body != `{"error":"Unauthorized"}`) {
			t.Errorf("%s %v: %s %s, want %d", path, headers, response.Status, body, status)
		}
	}
	f("/v1/models", 401)
	f("/v1/models", 401, "Authorization", "sk-engine")
	f("/v1/models", 401, "Authorization", "Bearer sk-other")
	f("/v1/models", 200, "Authorization", "Bearer sk-engine")
	f("/health", 200)
	f("/metrics", 200)
}

func TestConfig(t *testing.T) {
	f := func(flag string, change func(c *Config)) {
		t.Helper()
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), flag+": ") {
			t.Errorf("got %v, want an error about %s", err, flag)
		}
	}
	f("listen", func(c *Config) { c.Listen = "9100" })
	f("listen", func(c *Config) { c.Listen, c.Instances = "127.0.0.1:65535", 2 })
	f("instances", func(c *Config) { c.Instances = 0 })
	f("model", func(c *Config) { c.Model = "" })
	f("engine", func(c *Config) { c.Engine = "tgi" })
	f("profile", func(c *Config) { c.Profile = "9b" })
	f("time-scale", func(c *Config) { c.TimeScale = 0 })
	f("idle-least", func(c *Config) { c.IdleLeast = c.IdleTimeout + 1 })
	f("idle-timeout", func(c *Config) { c.IdleTimeout = 0 })
	f("kv-events", func(c *Config) { c.KVEvents = 5557 })
	f("max model len", func(c *Config) { c.KVBlocks, c.MaxModelLen = 10, 161 })
	c := DefaultConfig()
	c.KVBlocks = 10
	if p, err := c.profile(); err != nil || p.MaxModelLen != 160 {
		t.Errorf("a small cache: context of %d tokens, %v, want 160", p.MaxModelLen, err)
	}
}
