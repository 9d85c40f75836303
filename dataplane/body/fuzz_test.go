package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzScan compares Scan with what encoding/json says, in validity and values.
// Where they differ is the oracle's to know: depth, UTF-8, a routing key twice,
// a value's type.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		"", "{}", " { } ", "[]", `{"a":NaN}`, "\xef\xbb\xbf{}", "{\"a\":\"\xff\"}", `{"a":"\ud83d\ude00 \ud83d"}`,
		`{"model":"m","stream":true,"max_tokens":128,"messages":[{"role":"user","content":"hi"}]}`,
		`{"model":null,"stream":"true","max_completion_tokens":3.4e1,"n":2,"prompt":["a","b\n"]}`,
		`{"prompt":[[1,2],[3.0]],"model":"a","mod\u0065l":"b"}`,
		`{"prompt":{"id":"x"},"input":[1,"a",[2],{"data":"AAAA","url":"data:image/png;base64,AA"}]}`,
		`{"a":[1,-0,0.5,1e9,-1.5E-7,true,false,null,"",[],{},[[]],{"a":{}}],"input":"\u00e9"}`,
		`{"tools":[{"a":"b\n","data":"c"}],"documents":[{"data":"AA","url":"data:;base64,A"}],"input_ids":[[1],2],"text":"a\"","image_data":"A"}`,
		`{"a":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`,
		chat(400), `{"model":"中文\\","prompt":"` + strings.Repeat("plain text ", 9) + `\"é"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var s Scanner
		var got Fields
		err := s.Scan(b, &got)
		if !bytes.Equal(b, before) {
			t.Fatal("the body was changed")
		}
		want, reason := oracle(b)
		if reason != "" {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("took what is refused (%s)", reason)
			}
			if e.Offset < 0 || e.Offset > len(b) || len(e.Msg) > 200 {
				t.Fatalf("a strange error: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		if !bytes.Equal(got.Model, want.Model) || got.HasModel != want.HasModel ||
			got.Stream != want.Stream || got.HasStream != want.HasStream ||
			got.MaxTokens != want.MaxTokens || got.N != want.N ||
			got.Prompt != want.Prompt || got.PromptKey != want.PromptKey || got.Tokens != want.Tokens {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		if got.TextBytes != want.TextBytes && !bytes.Contains(b, []byte(`\u`)) {
			t.Fatalf("got %d bytes of text, want %d", got.TextBytes, want.TextBytes)
		}
	})
}

// oracle reads a body by encoding/json. The reason is why it is to be refused.
func oracle(b []byte) (f Fields, reason string) {
	f = nothing
	if !json.Valid(b) {
		return f, "not JSON"
	}
	if !utf8.Valid(b) {
		return f, "not UTF-8"
	}
	if bytes.TrimLeft(b, " \t\r\n")[0] != '{' {
		return f, "no object"
	}
	if depthOf(b) > MaxDepth {
		return f, "too deep"
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	next(dec)
	values := map[Key]json.RawMessage{}
	ends := map[Key]int{}
	for dec.More() {
		name := next(dec).(string)
		k := keyOf([]byte(name))
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			panic(err)
		}
		if k == KeyNone {
			f.beside([]byte(name), raw)
			continue
		}
		if values[k] != nil {
			return f, "a key twice"
		}
		values[k], ends[k] = raw, int(dec.InputOffset())
	}
	for k, raw := range values {
		if string(raw) == "null" {
			delete(values, k)
		}
	}
	most := contained{text: -1}
	for k := KeyModel; k <= KeyInput; k++ {
		raw := values[k]
		if raw == nil {
			continue
		}
		if !f.fill(k, raw, values) {
			return f, "a wrong type of " + k.String()
		}
		isTemplate := k == KeyPrompt && raw[0] == '{'
		if k < KeyPrompt || isTemplate {
			continue
		}
		c := contents(k, raw)
		more := c.text + 4*c.ids - most.text - 4*most.ids
		if more > 0 || more == 0 && ends[k] < f.Prompt.End {
			f.PromptKey, f.Prompt, most = k, Span{ends[k] - len(raw), ends[k]}, c
		}
	}
	f.TextBytes, f.Tokens = f.TextBytes+max(most.text, 0), f.Tokens+most.ids
	return f, ""
}

// contained is what Fields counts.
type contained struct{ text, away, ids int }

// beside adds what a key has that is none of routing's.
func (f *Fields) beside(name []byte, raw json.RawMessage) {
	if !strings.ContainsRune(`"[{`, rune(raw[0])) {
		return
	}
	escapes := strings.Count(strings.ReplaceAll(string(raw), `\\`, "x"), `\`) + strings.Count(string(raw), `\\`)
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	n := counts(dec, plainField)
	switch besideOf(name) {
	case besideText:
		f.TextBytes += len(raw) - 2 - escapes
	case besideContent:
		f.TextBytes += len(raw) - 2 - escapes - n.away
	case besideIDs:
		f.Tokens += n.ids
	}
}

// fill sets what value v of key k says, and says whether its type is right.
func (f *Fields) fill(k Key, raw json.RawMessage, values map[Key]json.RawMessage) bool {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		panic(err)
	}
	switch k {
	case KeyModel:
		model, ok := v.(string)
		f.Model, f.HasModel = []byte(model), ok
		return ok && len(model) <= maxModel
	case KeyStream:
		f.HasStream = true
		switch v := v.(type) {
		case bool:
			f.Stream = v
			return true
		case string:
			f.Stream = strings.EqualFold(v, "true")
			return f.Stream || strings.EqualFold(v, "false")
		}
		return false
	case KeyMaxTokens:
		n, ok := whole(v)
		f.MaxTokens = n
		return ok
	case KeyMaxCompletionTokens: // comes after max_tokens in the order of keys
		n, ok := whole(v)
		f.MaxTokens = n
		return ok
	case KeyN:
		n, ok := whole(v)
		f.N = n
		return ok
	case KeyMessages:
		_, ok := v.([]any)
		return ok
	case KeyPrompt:
		if _, ok := v.(map[string]any); ok {
			return values[KeyInput] != nil
		}
		return isPrompt(v)
	}
	if _, ok := v.(string); ok {
		return true
	}
	elements, ok := v.([]any)
	for _, e := range elements {
		switch e.(type) {
		case nil, bool:
			return false
		case json.Number:
			if _, whole := whole(e); !whole {
				return false
			}
		}
	}
	return ok
}

func isPrompt(v any) bool {
	elements, ok := v.([]any)
	if !ok {
		_, ok = v.(string)
		return ok
	}
	strs, lists, ids := 0, 0, 0
	for _, e := range elements {
		switch e := e.(type) {
		case string:
			strs++
		case json.Number:
			if _, ok := whole(e); !ok {
				return false
			}
			ids++
		case []any:
			lists++
			for _, e := range e {
				if _, ok := whole(e); !ok {
					return false
				}
			}
		}
	}
	return max(strs, lists, ids) == len(elements)
}

// whole is the value of a number that is an integer, by way of big numbers.
// Exponents that make those too large are compared in another test.
func whole(v any) (int, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	_, exponent, _ := strings.Cut(strings.ToLower(string(number)), "e")
	if len(exponent) > 4 {
		n, ok := integer([]byte(number))
		return n, ok
	}
	r, ok := new(big.Rat).SetString(string(number))
	if !ok || !r.IsInt() {
		return 0, false
	}
	if n := r.Num(); n.IsInt64() && n.Int64() <= math.MaxInt32 && n.Int64() >= -math.MaxInt32 {
		return int(n.Int64()), true
	} else if n.Sign() < 0 {
		return -math.MaxInt32, true
	}
	return math.MaxInt32, true
}

// contents counts what Fields.TextBytes and Fields.Tokens do, token by token.
func contents(k Key, raw json.RawMessage) (c contained) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if raw[0] != '[' {
		return contained{text: counts(dec, plainField).text}
	}
	next(dec)
	for dec.More() {
		var element json.RawMessage
		if err := dec.Decode(&element); err != nil {
			panic(err)
		}
		in := json.NewDecoder(bytes.NewReader(element))
		in.UseNumber()
		n := counts(in, plainField)
		c.text += n.text
		switch numbers := n.ids; typeOf(element[0]) {
		case aNumber:
			c.ids++
		case anArray:
			if k == KeyPrompt {
				numbers = bytes.Count(element, []byte(","))
				if element[0] = ' '; len(bytes.TrimSpace(element)) > 1 { // not only "]"
					numbers++
				}
			}
			c.ids += numbers
		}
	}
	if k == KeyMessages {
		c.ids = 0
	}
	return c
}

// counts reads one value: the bytes of its text and of its media, and how many
// integers it has.
func counts(dec *json.Decoder, kind fieldKind) (c contained) {
	switch v := next(dec).(type) {
	case string:
		if kind == dataField || kind == urlField && isDataURL([]byte(v)) {
			c.away = len(v)
		} else {
			c.text = len(v)
		}
	case json.Number:
		if !strings.ContainsAny(string(v), ".eE") {
			c.ids = 1
		}
	case json.Delim:
		for dec.More() {
			under := plainField
			if v == '{' {
				switch next(dec).(string) {
				case "data":
					under = dataField
				case "image_url", "input_audio", "audio_url", "video_url", "file_id", "file_url", "url", "image", "file_data":
					under = urlField
				}
			}
			n := counts(dec, under)
			c.text, c.away, c.ids = c.text+n.text, c.away+n.away, c.ids+n.ids
		}
		next(dec)
	}
	return c
}

// next is the next token of what is known to be valid.
func next(dec *json.Decoder) json.Token {
	token, err := dec.Token()
	if err != nil {
		panic(err)
	}
	return token
}

// depthOf is how deep valid JSON is nested.
func depthOf(b []byte) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}', c == ']':
			depth--
		}
	}
	return deepest
}

// FuzzMultipartModel compares MultipartModel with mime/multipart: where both
// find a model, it is the same, and where the second finds two, none is found.
func FuzzMultipartModel(f *testing.F) {
	model := disposition(`name="model"`)
	for _, seed := range []string{
		form(model, "m"), form(disposition(`name="file"; filename="a\"b"`), "x\r\n--Xy", model, "m"), form(model, "a", model, "b"),
		form("content-disposition: form-data;name=model\r\nContent-Type: text/plain", ""), "--X--", "--X\r\n\r\n\r\n--X--",
	} {
		f.Add([]byte(formType), []byte(seed))
		f.Add([]byte(`multipart/form-data; charset=x; boundary="X"`), []byte(seed))
	}
	f.Fuzz(func(t *testing.T, contentType, b []byte) {
		got, ok := MultipartModel(contentType, b)
		if !ok {
			if got != nil {
				t.Fatalf("found nothing, but %q", got)
			}
			return
		}
		if len(got) > maxModel || !utf8.Valid(got) || !bytes.Contains(b, got) {
			t.Fatalf("got %q", got)
		}
		models, whole := formModels(contentType, b)
		if len(models) > 0 && models[0] != string(got) || whole && len(models) > 1 {
			t.Fatalf("got %q, mime/multipart has %q", got, models)
		}
	})
}

// formModels is all the models that mime/multipart finds before the bound, and
// whether it could read the form to its end.
func formModels(contentType, b []byte) (models []string, whole bool) {
	kind, params, err := mime.ParseMediaType(string(contentType))
	if err != nil || kind != "multipart/form-data" {
		return nil, false
	}
	r := multipart.NewReader(bytes.NewReader(b[:min(len(b), maxForm)]), params["boundary"])
	for {
		part, err := r.NextRawPart()
		if err != nil {
			return models, err.Error() == "EOF"
		}
		if part.FormName() != "model" || part.FileName() != "" {
			continue
		}
		var value bytes.Buffer
		if _, err := value.ReadFrom(part); err != nil {
			return models, false
		}
		models = append(models, value.String())
	}
}
