package sim

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"net/http"
	"time"

	"penstock/bench/model"
)

// dimensions of an embedding.
const dimensions = 16

// embeddings computes prompts, as any engine must, and makes a vector from what
// they say.
func (i *Instance) embeddings(w http.ResponseWriter, r *http.Request) {
	a, ok := i.ask(w, r)
	if !ok {
		return
	}
	if len(a.Input) == 0 {
		i.fail(w, missing("input"))
		return
	}
	var prompts []*prompt
	for _, t := range a.Input {
		prompts = append(prompts, textPrompt(t, i.profile.BlockSize))
	}
	a.Stream, a.StreamOptions = false, nil
	if p, wrong := i.wrong(a, prompts, nil, 1); wrong {
		i.fail(w, p)
		return
	}
	c := newCall(len(prompts), false)
	for n := range c.choices {
		c.choices[n].call, c.choices[n].prompt = c, prompts[n]
		c.choices[n].output.reason = reasonStop
	}
	if err := i.submit(c); err != nil {
		i.fail(w, badRequest(err.Error()))
		return
	}
	defer i.leave(r, c)
	t := i.talk(w, r, a, c, &wording{})
	if !t.wait() {
		return
	}
	data := make([]map[string]any, len(prompts))
	for n, p := range prompts {
		data[n] = map[string]any{"index": n, "object": "embedding", "embedding": encoded(p.Sum(), a.Encoding)}
	}
	tokens := c.usage().prompt
	answer(w, map[string]any{
		"id": "embd-" + i.requestID(r), "object": "list", "created": time.Now().Unix(), "model": i.config.Model, "data": data,
		"usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0, "prompt_tokens_details": nil},
	})
}

// encoded is a prompt's vector of length one, in the encoding asked for.
func encoded(h model.Hash, encoding string) any {
	var v [dimensions]float32
	var sum float64
	for n := range v {
		x := float64(int64(model.Mix(uint64(h)+uint64(n)))) / math.MaxInt64
		v[n] = float32(x)
		sum += x * x
	}
	raw := make([]byte, 0, 4*dimensions)
	for n := range v {
		v[n] /= float32(math.Sqrt(sum))
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v[n]))
	}
	if encoding == "base64" {
		return base64.StdEncoding.EncodeToString(raw)
	}
	return v
}
