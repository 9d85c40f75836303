package load

import (
	"encoding/json"
	"strconv"

	"penstock/bench/workload"
)

// template is a request body around its prompt and its max_tokens.
type template struct {
	path            string // of the API
	head, mid, tail []byte

	// What stands before and after an answer that a prompt has in it; with
	// completions nothing does.
	answer, answered []byte
}

func newTemplate(cfg *Config, model string) template {
	name, _ := json.Marshal(model) // a string always can
	t := template{path: "/v1/chat/completions"}
	t.head = append(append(t.head, `{"model":`...), name...)
	if cfg.Endpoint == Completions {
		t.path = "/v1/completions"
		t.head = append(t.head, `,"prompt":"`...)
		t.mid = append(t.mid, `"`...)
	} else {
		t.head = append(t.head, `,"messages":[{"role":"user","content":"`...)
		t.mid = append(t.mid, `"}]`...)
		t.answer = append(t.answer, `"},{"role":"assistant","content":"`...)
		t.answered = append(t.answered, `"},{"role":"user","content":"`...)
	}
	t.mid = append(t.mid, `,"max_tokens":`...)
	if cfg.IgnoreEOS || cfg.Workload != nil { // its answers are as long as it says
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
	return t.end(dst, cfg.OutputTokens)
}

// appendAsked appends the body of a workload's request. An answer within its
// prompt is what the engine said, while that is still at hand, else a text of
// the same length.
func (t *template) appendAsked(dst []byte, q *workload.Request, said *answers) []byte {
	dst = append(dst, t.head...)
	for _, s := range q.Prompt {
		text, isAnswer := said.of(s.Text)
		if isAnswer {
			dst = append(dst, t.answer...)
		}
		if text != nil {
			dst = append(dst, text...)
		} else {
			dst = appendPassage(dst, s.Text, s.Tokens)
		}
		if isAnswer {
			dst = append(dst, t.answered...)
		}
	}
	return t.end(dst, q.Output)
}

func (t *template) end(dst []byte, maxTokens int) []byte {
	dst = append(dst, t.mid...)
	dst = strconv.AppendInt(dst, int64(maxTokens), 10)
	return append(dst, t.tail...)
}
