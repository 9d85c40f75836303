package dataplane

import (
	"strings"
	"testing"
)

// metered runs a meter over the payload in these pieces.
func metered(stream bool, pieces ...string) *meter {
	m := begun(stream)
	for i, p := range pieces {
		m.see(&answer{parts: [][]byte{[]byte(p)}, done: i == len(pieces)-1})
	}
	return m
}

// begun is the meter of an answer that the connection's end frames.
func begun(stream bool) *meter {
	a := &answer{mode: framedClose}
	a.head.EventStream = stream
	m := new(meter)
	m.begin(0, a)
	return m
}

// split gives s to f in every way that matters: whole, cut in two anywhere, cut
// in three around any byte, and byte by byte.
func split(s string, f func(pieces ...string)) {
	f(s)
	for i := range s {
		f(s[:i], s[i:])
		f(s[:i], s[i:i+1], s[i+1:])
	}
	f(strings.Split(s, "")...)
}

const (
	vllm = `data: {"id":"cmpl-1","choices":[{"index":0,"text":"a","finish_reason":null}],"usage":null}` + "\n\n" +
		`data: {"id":"cmpl-1","choices":[{"index":0,"text":"\"usage\":{\"completion_tokens\":99}","finish_reason":null}]}` + "\n\n" +
		`data: {"id":"cmpl-1","choices":[{"index":0,"text":"","finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"cmpl-1","choices":[],"usage":{"prompt_tokens":36,"total_tokens":70,"completion_tokens":34,"prompt_tokens_details":{"cached_tokens":32}}}` + "\n\n" +
		"data: [DONE]\n\n"
	details = `data: {"usage":{"prompt_tokens":36,"prompt_tokens_details":{"cached_tokens":32},"completion_tokens_details":{"reasoning_tokens":0},"completion_tokens":34}}` + "\n\n" +
		"data: [DONE]\n\n"
	spaced = `data: {"choices": [], "usage": {"prompt_tokens": 36, "completion_tokens": 34, "prompt_tokens_details": {"cached_tokens": 32}}}` + "\n\n" +
		"data: [DONE]\n\n"
	blade = `data: {"id":"1","choices":[{"finish_reason":"","index":0,"text":"a"}],"usage":{"prompt_tokens":36,"completion_tokens":1,"total_tokens":37},"error_info":null}` + "\n\n" +
		`data: {"id":"1","choices":[{"finish_reason":"","index":0,"text":"b"}],"usage":{"prompt_tokens":36,"completion_tokens":34,"total_tokens":70},"error_info":null}` + "\n\n" +
		"[DONE]\n\n"
	responses = "event: response.created\n" + `data: {"type":"response.created","response":{"id":"resp_1","usage":null}}` + "\n\n" +
		"event: response.output_text.delta\n" + `data: {"type":"response.output_text.delta","delta":"a"}` + "\n\n" +
		"event: response.completed\n" + `data: {"type":"response.completed","response":{"id":"resp_1","usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":32},"output_tokens":34,"total_tokens":70}}}` + "\n\n"
	messages = "event: message_start\n" + `data: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":36,"cache_read_input_tokens":32,"output_tokens":1}}}` + "\n\n" +
		"event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":34}}` + "\n\n" +
		"event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n"
)

func TestUsageIsReadOverAnySplit(t *testing.T) {
	f := func(name, stream string, cached int) {
		t.Helper()
		split(stream, func(pieces ...string) {
			if t.Failed() {
				return
			}
			m := metered(true, pieces...)
			if u := m.usage; u.prompt != 36 || u.completion != 34 || u.cached != cached || m.tokens() != 34 {
				t.Errorf("%s in %d pieces, the first of %d bytes: %d, %d, %d of %q", name, len(pieces), len(pieces[0]), u.prompt, u.completion, u.cached, pieces[0])
			}
		})
	}
	f("vLLM", vllm, 32)
	f("details in the middle", details, 32)
	f("spaces", spaced, 32)
	f("BladeLLM, cumulative", blade, 0)
	f("Responses", responses, 32)
	f("Messages", messages, 32)
}

func TestUsageOfAWholeAnswer(t *testing.T) {
	const json = `{"id":"cmpl-1","choices":[{"text":"hi"}],"usage":{"prompt_tokens":3,"total_tokens":5,"completion_tokens":2}}`
	split(json, func(pieces ...string) {
		m := metered(false, pieces...)
		if u := m.usage; u.prompt != 3 || u.completion != 2 || m.tokens() != 2 || m.events != 0 {
			t.Fatalf("%q: %+v", pieces, m)
		}
	})
}

func TestEventsAreCountedOverAnySplit(t *testing.T) {
	f := func(stream string, want int) {
		t.Helper()
		for _, s := range []string{stream, strings.ReplaceAll(stream, "\n", "\r\n")} {
			split(s, func(pieces ...string) {
				if m := metered(true, pieces...); m.events != want {
					t.Fatalf("%q: %d events, want %d", pieces, m.events, want)
				}
			})
		}
	}
	f("", 0)
	f("data: a", 0)
	f("data: a\n", 0)
	f("data: a\n\n", 1)
	f("data: a\n\ndata: b\n\n", 2)
	f("event: x\ndata: a\n\n: comment\n\ndata: b\ndata: c\n\n", 2) // a comment is none
	f("\n\ndata: a\n\n", 1)                                        // blank lines alone are no events
	f("data: a\n\n\n\n\ndata: b\n\n", 2)
}

func TestStreamSaysThatItIsWhole(t *testing.T) {
	f := func(stream string, want bool) {
		t.Helper()
		split(stream, func(pieces ...string) {
			if m := metered(true, pieces...); m.finished != want {
				t.Fatalf("%q: finished is %v", pieces, m.finished)
			}
		})
	}
	f("data: [DONE]\n\n", true)
	f("data:[DONE]", true)
	f("[DONE]\n\n", true) // BladeLLM
	f(`data: {"choices":[{"finish_reason":"length"}]}`+"\n\n", true)
	f(`data: {"choices":[{"finish_reason": "stop"}]}`+"\n\n", true)
	f(`data: {"choices":[{"finish_reason":""}]}`+"\n\n", false)
	f(`data: {"choices":[{"finish_reason":null}]}`+"\n\n", false)
	f(`data: {"choices":[{"finish_reason":""}]}`+"\n\n"+`data: {"choices":[{"finish_reason":"stop"}]}`+"\n\n", true)
	f("data: {\"DONE\":1}\n\n", false)
	f(responses, true)
	f(messages, true)
	f(responses[:len(responses)/2], false)
}

func TestTokensWithoutUsageAreEvents(t *testing.T) {
	if n := metered(true, "data: a\n\ndata: b\n\ndata: c\n\ndata: [DONE]\n\n").tokens(); n != 3 {
		t.Errorf("a whole stream of three: %d", n)
	}
	if n := metered(true, "data: a\n\ndata: b\n\n").tokens(); n != 2 {
		t.Errorf("a stream cut after two: %d", n)
	}
	if n := metered(false, `{"text":"hi"}`).tokens(); n != 0 {
		t.Errorf("no stream: %d", n)
	}
}

func TestBlankLineBeforeTheLastEvent(t *testing.T) {
	f := func(passed, want string) {
		t.Helper()
		split(passed, func(pieces ...string) {
			if got := string(metered(true, pieces...).blankLine()); got != want {
				t.Fatalf("after %q: %q, want %q", pieces, got, want)
			}
		})
	}
	f("data: a\n\n", "")
	f("data: a\r\n\r\n", "")
	f("data: a\n", "\n")
	f("data: a\r\n", "\n")
	f("data: a", "\n\n")
	f("data: a\n\ndata", "\n\n")
}

func TestTokensAreToldInHandfuls(t *testing.T) {
	m := begun(true)
	told, calls := 0, 0
	for range 100 {
		m.see(&answer{parts: [][]byte{[]byte("data: a\n\n")}})
		if n := m.batch(); n > 0 {
			told += n
			calls++
		}
	}
	if told < 85 || told > 100 || calls > 7 {
		t.Errorf("%d of 100 events told in %d calls", told, calls)
	}
}

// Whatever an engine says, a meter keeps little and counts no nonsense.
func TestMeterIsBounded(t *testing.T) {
	m := begun(true)
	m.see(&answer{parts: [][]byte{[]byte(`data: {"usage":{"completion_tokens":99999999999999999999999999,"prompt_tokens":-5,`)}})
	for range 100 {
		m.see(&answer{parts: [][]byte{[]byte(strings.Repeat(`"usage":{`, 1000))}})
	}
	if n := cap(m.carry); n > 4*carryMost {
		t.Errorf("%d bytes are carried", n)
	}
	if m.usage.completion < 0 || m.usage.completion > 1<<50 || m.usage.prompt != 0 {
		t.Errorf("%+v", m.usage)
	}
}

func FuzzMeter(f *testing.F) {
	f.Add([]byte(vllm), 10, 90)
	f.Add([]byte(blade), 33, 34)
	f.Add([]byte(responses), 100, 500)
	f.Fuzz(func(t *testing.T, b []byte, i, j int) {
		i, j = max(0, min(i, len(b))), max(0, min(j, len(b)))
		i, j = min(i, j), max(i, j)
		s := string(b)
		whole, cut := metered(true, s), metered(true, s[:i], s[i:j], s[j:])
		if whole.events != cut.events || string(whole.blankLine()) != string(cut.blankLine()) {
			t.Fatalf("%d events whole, %d in pieces", whole.events, cut.events)
		}
	})
}
