package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ask is the body of a completion, a chat, an embedding or a tokenization: what
// the simulator reads of it.
type ask struct {
	Model         string         `json:"model"`
	Prompt        texts          `json:"prompt"`
	Input         texts          `json:"input"`
	Messages      []message      `json:"messages"`
	Stream        laxBool        `json:"stream"`
	StreamOptions *streamOptions `json:"stream_options"`
	MaxTokens     *int           `json:"max_tokens"`
	MaxCompletion *int           `json:"max_completion_tokens"`
	N             *int           `json:"n"`
	Stop          stops          `json:"stop"`
	IgnoreEOS     laxBool        `json:"ignore_eos"`
	Encoding      string         `json:"encoding_format"`
	Tokens        []uint32       `json:"tokens"`
	TokenStrs     laxBool        `json:"return_token_strs"`
}

type streamOptions struct {
	IncludeUsage laxBool `json:"include_usage"`
	Continuous   laxBool `json:"continuous_usage_stats"`
}

// text is one prompt: as text, or as token ids where ids is not nil.
type text struct {
	text string
	ids  []uint32
}

// each gives its tokens.
func (t *text) each(f func(uint32)) {
	for _, id := range t.ids {
		f(id)
	}
	eachToken(t.text, f)
}

// texts are one prompt or several: "…", ["…"], [1, 2] or [[1, 2]].
type texts []text

func (t *texts) UnmarshalJSON(raw []byte) error {
	var one text
	if one.UnmarshalJSON(raw) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(raw, (*[]text)(t))
}

func (t *text) UnmarshalJSON(raw []byte) (err error) {
	if raw[0] == '"' {
		t.text, err = unquote(raw)
		return err
	}
	if json.Unmarshal(raw, &t.ids) != nil || t.ids == nil {
		return errors.New("want a string, strings, token ids or lists of token ids")
	}
	return nil
}

type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

// content is a message's text, or parts of which some are text.
type content struct {
	text  string
	media int // parts that are something else
}

func (c *content) UnmarshalJSON(raw []byte) (err error) {
	switch raw[0] {
	case '"':
		c.text, err = unquote(raw)
		return err
	case 'n':
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return errors.New("content: want a string or a list of parts")
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			c.media++
		}
		b.WriteString(p.Text)
	}
	c.text = b.String()
	return nil
}

// stops is a stop string or several.
type stops []string

func (s *stops) UnmarshalJSON(raw []byte) error {
	var one string
	if raw[0] == '"' {
		err := json.Unmarshal(raw, &one)
		*s = stops{one}
		return err
	}
	return json.Unmarshal(raw, (*[]string)(s))
}

// laxBool takes "true" for true too, as pydantic does and BladeLLM's clients
// send it.
type laxBool bool

func (b *laxBool) UnmarshalJSON(raw []byte) error {
	switch string(bytes.ToLower(bytes.Trim(raw, `"`))) {
	case "true", "1":
		*b = true
	case "false", "0", "null":
		*b = false
	default:
		return fmt.Errorf("%s is not a boolean", raw)
	}
	return nil
}

// unquote reads a JSON string. One without escapes is copied, and no more.
func unquote(raw []byte) (string, error) {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
		return string(inner), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}
