package body

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"strings"
	"testing"
)

// chat is a chat of about n bytes.
func chat(n int) string {
	const head = `{"model": "Qwen/Qwen3-32B", "messages": [{"role": "system", "content": "You are a helpful assistant."}`
	const tail = `], "stream": true, "max_tokens": 512, "temperature": 0.7}`
	var b strings.Builder
	b.WriteString(head)
	for b.Len()+len(tail) < n-30 {
		b.WriteString(`, {"role": "user", "content": "`)
		text := min(n-b.Len()-len(tail)-3, 200)
		b.WriteString(strings.Repeat("What does the router do next? ", 7)[:max(text, 0)])
		b.WriteString(`"}`)
	}
	b.WriteString(tail)
	return b.String()
}

// completion is a request whose prompt is 220 KB of text.
func completion(text string) string {
	return `{"model":"Qwen/Qwen3-32B","stream":true,"max_tokens":512,"prompt":"` + strings.Repeat(text, 220_000/len(text)) + `"}`
}

// BenchmarkScan reads bodies, beside what one would write first.
func BenchmarkScan(b *testing.B) {
	f := func(name, body string) {
		raw := []byte(body)
		bench := func(how string, read func() bool) {
			b.Run(name+"/"+how, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(raw)))
				for b.Loop() {
					if !read() {
						b.Fatal("refused")
					}
				}
			})
		}
		var s Scanner
		var f Fields
		bench("scan", func() bool { return s.Scan(raw, &f) == nil })
		bench("json.Valid", func() bool { return json.Valid(raw) })
		bench("json.Unmarshal", func() bool {
			var r struct {
				Model     string
				Stream    bool
				MaxTokens int `json:"max_tokens"`
				N         int
				Prompt    json.RawMessage
				Messages  json.RawMessage
				Input     json.RawMessage
			}
			return json.Unmarshal(raw, &r) == nil
		})
	}
	f("chat-200B", chat(200))
	f("chat-4KB", chat(4<<10))
	f("ascii-220KB", completion("The quick brown fox jumps over the lazy dog. "))
	f("lines-220KB", completion(`The quick brown fox jumps over the lazy dog, then back.\n`))
	f("escapes-220KB", completion(`for i in range(10):\n\tprint(\"step\", i)  # counts\n`))
	f("chinese-220KB", completion("路由器把请求送到最合适的推理引擎，"))
	f("tokens-220KB", `{"prompt":[`+strings.Repeat("151643, ", 220_000/8)+`0]}`)
}

// BenchmarkMultipartModel finds the model after 40 KB of audio.
func BenchmarkMultipartModel(b *testing.B) {
	const contentType = "multipart/form-data; boundary=X"
	body := []byte(form(disposition(`name="file"; filename="a.wav"`), strings.Repeat("RIFF\x00\x01-\n", 5000), disposition(`name="model"`), "whisper"))
	b.Run("scan", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if _, ok := MultipartModel([]byte(contentType), body); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("mime/multipart", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			if form, err := multipart.NewReader(bytes.NewReader(body), "X").ReadForm(1 << 20); err != nil || form.Value["model"][0] != "whisper" {
				b.Fatal("not found")
			}
		}
	})
}
