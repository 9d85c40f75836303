package body

import (
	"bytes"
	"fmt"
)

// What a value must be, in the words of an error.
const (
	modelTypes   = "a string"
	streamTypes  = "true or false"
	countTypes   = "an integer"
	promptTypes  = "a string, or an array of only strings, only token ids or only arrays of token ids"
	messageTypes = "an array"
	inputTypes   = "a string, or an array of strings, token ids, arrays or objects"
)

// take reads the value at i of routing key k, which is not null, into f.
func (s *Scanner) take(b []byte, i int, k Key, f *Fields) (end int, err *Error) {
	switch k {
	case KeyModel:
		f.HasModel = true
		f.Model, end, err = s.model(b, i)
	case KeyStream:
		f.HasStream = true
		f.Stream, end, err = s.flag(b, i)
	case KeyMaxCompletionTokens:
		f.MaxTokens, end, err = count(b, i, k)
	case KeyMaxTokens:
		var n int
		if n, end, err = count(b, i, k); !s.given.has(KeyMaxCompletionTokens) {
			f.MaxTokens = n
		}
	case KeyN:
		f.N, end, err = count(b, i, k)
	default:
		return s.read(b, i, k, f)
	}
	return end, err
}

// model reads the model's name at i.
func (s *Scanner) model(b []byte, i int) (model []byte, end int, err *Error) {
	if b[i] != '"' {
		return nil, 0, wrongType(b, i, KeyModel, modelTypes)
	}
	end, saved, err := text(b, i+1)
	if err != nil {
		return nil, 0, err
	}
	model, fits := b[i+1:end], true
	if saved > 0 {
		model, fits = unescape(s.scratch[:0], model)
	}
	if !fits || len(model) > maxModel {
		return nil, 0, &Error{Offset: i, Param: KeyModel.String(), Msg: fmt.Sprintf("the name is longer than %d bytes", maxModel)}
	}
	return model, end + 1, nil
}

// flag reads the boolean at i. BladeLLM's clients put it in quotes, in which
// pydantic takes it too, in any case.
func (s *Scanner) flag(b []byte, i int) (v bool, end int, err *Error) {
	switch b[i] {
	case 't':
		end, err = literal(b, i, "true")
		return true, end, err
	case 'f':
		end, err = literal(b, i, "false")
		return false, end, err
	case '"':
		end, saved, err := text(b, i+1)
		if err != nil {
			return false, 0, err
		}
		word := s.plainly(b[i+1:end], saved)
		if v = bytes.EqualFold(word, []byte("true")); v || bytes.EqualFold(word, []byte("false")) {
			return v, end + 1, nil
		}
	}
	return false, 0, wrongType(b, i, KeyStream, streamTypes)
}

// count reads the integer at i, as integer bounds it.
func count(b []byte, i int, k Key) (v, end int, err *Error) {
	if typeOf(b[i]) != aNumber {
		return 0, 0, wrongType(b, i, k, countTypes)
	}
	end, _, err = number(b, i)
	if err != nil {
		return 0, 0, err
	}
	v, ok := integer(b[i:end])
	if !ok {
		return 0, 0, notWhole(i, k)
	}
	return v, end, nil
}

// read reads the value at i of prompt, messages or input.
func (s *Scanner) read(b []byte, i int, k Key, f *Fields) (end int, err *Error) {
	var sum tally
	switch c := b[i]; {
	case c == '[' && k == KeyMessages:
		end, sum, err = s.walk(b, i, 1)
		sum.ids = 0
	case c == '[' && k == KeyPrompt:
		end, err = s.list(b, i, 1, k, aString|aNumber|anArray, &sum)
	case c == '[':
		end, err = s.list(b, i, 1, k, aString|aNumber|anArray|anObject, &sum)
	case c == '"' && k != KeyMessages:
		end, sum, err = s.walk(b, i, 1)
	case c == '{' && k == KeyPrompt:
		// The Responses API's template, which goes with an input: no prompt.
		s.template = i
		end, _, err = s.walk(b, i, 1)
		return end, err
	default:
		return 0, wrongType(b, i, k, typesOf(k))
	}
	if err == nil && (f.PromptKey == KeyNone || sum.weight() > s.prompt.weight()) {
		f.Prompt, f.PromptKey, s.prompt = Span{i, end}, k, sum
	}
	f.Media = f.Media || sum.media
	return end, err
}

// typesOf is what the value of prompt, messages or input must be.
func typesOf(k Key) string {
	switch k {
	case KeyPrompt:
		return promptTypes
	case KeyMessages:
		return messageTypes
	}
	return inputTypes
}
