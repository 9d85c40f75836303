package load

import (
	"encoding/json"
	"strconv"
)

// template is a request body around its prompt.
type template struct {
	path       string // of the API
	head, tail []byte
}

func newTemplate(cfg *Config, model string) template {
	name, _ := json.Marshal(model) // a string always can
	t := template{path: "/v1/chat/completions"}
	t.head = append(append(t.head, `{"model":`...), name...)
	if cfg.Endpoint == Completions {
		t.path = "/v1/completions"
		t.head = append(t.head, `,"prompt":"`...)
		t.tail = append(t.tail, `"`...)
	} else {
		t.head = append(t.head, `,"messages":[{"role":"user","content":"`...)
		t.tail = append(t.tail, `"}]`...)
	}
	t.tail = append(t.tail, `,"max_tokens":`...)
	t.tail = strconv.AppendInt(t.tail, int64(cfg.OutputTokens), 10)
	if cfg.IgnoreEOS {
		t.tail = append(t.tail, `,"ignore_eos":true`...)
	}
	if cfg.Stream {
		t.tail = append(t.tail, `,"stream":true,"stream_options":{"include_usage":true}`...)
	}
	t.tail = append(t.tail, '}')
	return t
}

// append appends the body of request number.
func (t *template) append(dst []byte, cfg *Config, number int) []byte {
	dst = append(dst, t.head...)
	dst = appendPrompt(dst, cfg.Seed, uint64(number), cfg.PromptTokens)
	return append(dst, t.tail...)
}
