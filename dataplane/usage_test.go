package dataplane

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"penstock/scheduler"
)

const sglangStream = `data: {"text": "a", "meta_info": {"id": "x", "finish_reason": null, "prompt_tokens": 36, "completion_tokens": 1, "cached_tokens": 32}}` + "\n\n" +
	`data: {"text": "a b", "meta_info": {"id": "x", "finish_reason": {"type": "length", "length": 34}, "prompt_tokens": 36, "weight_version": "default", "completion_tokens": 34, "cached_tokens": 32, "e2e_latency": 0.5}}` + "\n\n" +
	"data: [DONE]\n\n"

func TestSGLangsCountIsReadOverAnySplit(t *testing.T) {
	f := func(name string, stream bool, payload string, prompt, completion, cached int) {
		t.Helper()
		split(payload, func(pieces ...string) {
			if t.Failed() {
				return
			}
			m := metered(stream, pieces...)
			if u := m.usage; u.prompt != prompt || u.completion != completion || u.cached != cached || !u.said || m.tokens() != completion {
				t.Errorf("%s in %d pieces, the first of %d bytes: %+v", name, len(pieces), len(pieces[0]), u)
			}
		})
	}
	one := func(n int) string {
		return fmt.Sprintf(`{"text":"\"meta_info\":{\"completion_tokens\":99}","meta_info":{"id":"x","finish_reason":{"type":"stop","matched":2},"prompt_tokens":3,"completion_tokens":%d,"cached_tokens":1}}`, n)
	}
	f("a stream", true, sglangStream, 36, 34, 32)
	f("one answer", false, one(16), 3, 16, 1)
	f("several answers", false, "["+one(16)+","+one(200)+", "+one(7)+"]", 9, 223, 3)
}

// Each answer of a stream for several is counted apart: the last is not all.
func TestAStreamOfSeveralAnswersHasAtLeastItsEvents(t *testing.T) {
	var s strings.Builder
	for n := range 40 {
		fmt.Fprintf(&s, `data: {"index":%d,"text":"a","meta_info":{"prompt_tokens":3,"completion_tokens":%d}}`+"\n\n", n%4, n/4+1)
	}
	if n := metered(true, s.String()+"data: [DONE]\n\n").tokens(); n != 40 {
		t.Errorf("%d tokens, want 40", n)
	}
}

// costing starts a router for ann before an engine that answers so.
func costing(t *testing.T, contentType, answer string, perMinute int) *rig {
	t.Helper()
	return start(t, instances(newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, answer)
	}).url), limited(func(k *Key) { k.TokensPerMinute = perMinute }))
}

// spent is what ann has used.
func (r *rig) spent() (prompt, output float64) {
	r.clear()
	return r.metric(`penstock_key_tokens_total{key="ann",kind="prompt"}`), r.metric(`penstock_key_tokens_total{key="ann",kind="generation"}`)
}

func (r *rig) ask(path, body string) (status int) {
	p := r.dial()
	defer p.Close()
	p.request("POST", path, body, asAnn, "Content-Type: application/json")
	resp, _ := p.whole()
	return resp.StatusCode
}

func TestALongAnswerIsPaidHoweverItsEngineCounts(t *testing.T) {
	long := strings.Repeat("word ", 80_000)
	f := func(name, contentType, answer string, want float64) {
		t.Run(name, func(t *testing.T) {
			r := costing(t, contentType, answer, 10_000)
			if status := r.ask("/generate", `{"text":"hello"}`); status != 200 {
				t.Fatal(status)
			}
			if _, output := r.spent(); output != want {
				t.Errorf("%v tokens are paid, want %v", output, want)
			}
			if status := r.ask("/generate", `{"text":"hello"}`); (status == 429) != (want > 10_000) {
				t.Errorf("the next gets %d", status)
			}
		})
	}
	f("as it says", "application/json", `{"text":"`+long+`","meta_info":{"prompt_tokens":3,"completion_tokens":70000}}`, 70_000)
	f("not at all", "application/json", `{"text":"`+long+`"}`, float64((len(long)+len(`{"text":""}`))/4))
	f("only the prompt", "application/json", `{"text":"`+long+`","meta_info":{"prompt_tokens":3}}`, float64((len(long)+len(`{"text":"","meta_info":{"prompt_tokens":3}}`))/4))
	f("a short one not at all", "application/json", `{"text":"hi"}`, firstAnswer)
	f("nothing, for it is none", "application/json", `{"usage":{"prompt_tokens":3,"completion_tokens":0}}`, 0)
	f("speech", "audio/mpeg", long, firstAnswer)
}

func TestWhoLeavesBeforeTheCountPaysTheAnswer(t *testing.T) {
	text := strings.Repeat("word ", 100_000)
	r := costing(t, "application/json", `{"choices":[{"text":"`+text+`"}],"usage":{"prompt_tokens":3,"completion_tokens":100000}}`, 10_000)
	p := r.dial()
	p.post(`{"model":"m","prompt":"hello"}`, asAnn)
	if _, err := io.CopyN(io.Discard, p.response().Body, 100_000); err != nil {
		t.Fatal(err)
	}
	p.Close()
	if _, output := r.spent(); output < 25_000 {
		t.Errorf("%v tokens are paid for 100,000 bytes", output)
	}
	if resp, body := r.do(ask, asAnn); resp.StatusCode != 429 {
		t.Errorf("the next is let in: %s", body)
	}
}

func TestAPromptCostsTheSameWhereverItStands(t *testing.T) {
	text := strings.Repeat("word ", 80_000)
	f := func(path, body string) {
		t.Helper()
		e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			sse(w)
			event(w, `{"choices":[{"delta":{"content":"t"}}]}`)
			event(w, "[DONE]")
		})
		r := start(t, instances(e.url), limited(func(k *Key) { k.TokensPerMinute = 10_000 }))
		if status := r.ask(path, body); status != 200 {
			t.Fatal(status)
		}
		if prompt, _ := r.spent(); prompt < 100_000 || prompt > 100_100 {
			t.Errorf("%.60s: %v tokens", body, prompt)
		}
		if status := r.ask(path, body); status != 429 {
			t.Errorf("%.60s: a second is let in: %d", body, status)
		}
	}
	f("/v1/chat/completions", `{"model":"m","stream":true,"messages":[{"role":"user","content":"`+text+`"}]}`)
	f("/v1/chat/completions", `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","description":"`+text+`"}}]}`)
	f("/v1/messages", `{"model":"m","stream":true,"system":"`+text+`","messages":[{"role":"user","content":"hi"}]}`)
	f("/v1/responses", `{"model":"m","stream":true,"instructions":"`+text+`","input":"hi"}`)
	f("/generate", `{"stream":true,"text":"`+text+`"}`)
}

func TestAnImageIsNoText(t *testing.T) {
	image := strings.Repeat("A", 400_000)
	f := func(path, body string) {
		t.Helper()
		r := costing(t, "application/json", `{}`, 10_000)
		r.ask(path, body)
		if prompt, _ := r.spent(); prompt > 50 {
			t.Errorf("%.60s: %v tokens", body, prompt)
		}
	}
	f("/v1/chat/completions", `{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,`+image+`"}}]}]}`)
	f("/generate", `{"text":"what is this","image_data":"`+image+`"}`)
}

// An engine's miscount costs a key no more than an answer can have.
func TestAnAnswerIsChargedWhatItCanHave(t *testing.T) {
	f := func(answer, body string, prompt, output float64) {
		t.Helper()
		r := costing(t, "application/json", answer, 1_000_000)
		r.until("its context to be known", func() bool { return r.sched.Instances()[0].Context() == 4096 })
		r.ask("/v1/completions", body)
		if p, o := r.spent(); p != prompt || o != output {
			t.Errorf("%s: %v and %v tokens are charged, want %v and %v", answer, p, o, prompt, output)
		}
	}
	const wrong = `{"usage":{"prompt_tokens":5000000,"completion_tokens":4000000}}`
	f(wrong, `{"model":"m","prompt":"hello"}`, 4096, 4096)
	f(wrong, `{"model":"m","prompt":"hello","n":3}`, 4096, 3*4096)
	many := `{"choices":[{"text":"` + strings.Repeat("a ", 10_000) + `"}],"usage":{"prompt_tokens":3,"completion_tokens":10000}}`
	f(many, `{"model":"m","prompt":["a","b","c"]}`, 3, 10_000) // of several prompts
}

func TestAMiscountIsNotBelievedOfAnUnknownContext(t *testing.T) {
	q := new(request)
	q.decision.Instance = new(scheduler.Instance)
	if got := q.believed(1<<40, 100, 1); got != usualContext {
		t.Errorf("%d tokens are believed, want %d", got, mostContext)
	}
}

func TestCountsThatNoEngineCanHaveOweNothing(t *testing.T) {
	m := begun(false)
	m.usage.add(usage{prompt: mostTold, completion: mostTold, said: true})
	for range 1 << 16 {
		m.usage.add(usage{prompt: 1 << 43, completion: 1 << 43})
	}
	q := &request{route: &route{}, started: true, meter: *m}
	q.meter.good = true
	q.fields.N = 1024
	if prompt, output := q.used(); prompt < 0 || prompt > mostContext || output < 0 || output > 1024*mostContext {
		t.Errorf("charged %d and %d tokens", prompt, output)
	}
}

// A prompt that is longer than an engine has room for, which refuses it, is
// forgotten, and its successors are served.
func TestPromptLargerThanTheCacheIsOneRequestsAlone(t *testing.T) {
	e := newEngine(t, func(w http.ResponseWriter, r *http.Request) {
		if b, _ := io.ReadAll(r.Body); len(b) > 40_000 {
			http.Error(w, `{"error":{"message":"this model's maximum context length is 4096 tokens"}}`, 400)
			return
		}
		ok(w, r)
	})
	e.say(calmMetrics + "vllm:generation_tokens_total 1\nvllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"1000\"} 1\n")
	r := start(t, instances(e.url), func(_ *Config, s *scheduler.Config) { s.Policy = "predictive" })
	i := r.sched.Instances()[0]
	r.until("the engine's capacity", func() bool { return i.Status().KVCapacityTokens == 16000 })
	for kb := 60; kb < 220; kb += 8 {
		r.do(`{"model":"m","prompt":"` + strings.Repeat("word ", kb<<10/5) + `"}`)
		resp, body := r.do(`{"model":"m","prompt":"hello"}`)
		expect(t, resp, body, 200, "")
	}
	r.until("nothing to be in flight", func() bool { return i.Status().InFlight == 0 })
}
