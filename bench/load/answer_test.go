package load

import "testing"

func TestTokenEvents(t *testing.T) {
	f := func(data string, want bool) {
		t.Helper()
		var a answer
		if got := a.event([]byte(data)); got != want {
			t.Errorf("%s: output is %v, want %v", data, got, want)
		}
	}
	f(`{"choices":[{"delta":{"role":"assistant","content":""}}]}`, false)
	f(`{"choices":[{"delta":{"content":" a"}}]}`, true)
	f(`{"choices": [{"delta": {"content": "a"}}]}`, true)
	f(`{"choices":[{"delta":{"content":"\""}}]}`, true)
	f(`{"choices":[{"delta":{"content":null,"reasoning_content":"so"}}]}`, true)
	f(`{"choices":[{"delta":{"reasoning":"so"}}]}`, true)
	f(`{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"{"}}]}}]}`, true)
	f(`{"choices":[{"text":"a"}]}`, true)
	f(`{"choices":[{"text":""}]}`, false)
	f(`{"choices":[{"text":"","finish_reason":"length"}]}`, false)
	f(`{"choices":[],"usage":{"prompt_tokens":1}}`, false)
	f(`{"choices":[{"delta":{"content":"\"content\":\"x\""}}]}`, true)
	f(`[DONE]`, false)
	f(``, false)
}

func TestErrorEvents(t *testing.T) {
	f := func(data string, want bool) {
		t.Helper()
		var a answer
		a.event([]byte(data))
		if a.failed != want {
			t.Errorf("%s: an error is %v, want %v", data, a.failed, want)
		}
	}
	f(`{"error":{"message":"x"}}`, true)
	f(` { "error" : "x"}`, true)
	f(`{"error":null,"choices":[]}`, false)
	f(`{"choices":[{"text":"{\"error\":1}"}]}`, false)
	f(`{"errors":1}`, false)
	f(`{`, false)
}

func TestUsage(t *testing.T) {
	f := func(data string, prompt, completion int) {
		t.Helper()
		var a answer
		a.event([]byte(data))
		if a.prompt != prompt || a.completion != completion {
			t.Errorf("%s: got %d and %d, want %d and %d", data, a.prompt, a.completion, prompt, completion)
		}
	}
	f(`{"usage":{"prompt_tokens":11,"total_tokens":18,"completion_tokens":7}}`, 11, 7)
	f(`{"usage": {"completion_tokens": 7, "prompt_tokens": 11}}`, 11, 7)
	f(`{"usage":{"prompt_tokens":11,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":3}}}`, 11, 7)
	f(`{"usage":null}`, 0, 0)
	f(`{"usage":{"prompt_tokens":-1}}`, 0, 0)
	f(`{"usage":{"prompt_tokens":99999999999999999999}}`, 0, 0)
	f(`{"choices":[{"text":"\"usage\":{\"prompt_tokens\":5}"}]}`, 0, 0)
}
