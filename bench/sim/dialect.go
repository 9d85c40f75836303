package sim

// dialect is how one engine words what all of them say.
type dialect struct {
	version    string
	owner      string // of its models
	flatErrors bool
	redirects  bool     // GET /metrics leads to /metrics/
	families   []family // of its metrics page; nil: it has none
	rank       []string // labels of all metrics, beside model_name
	bounds     bounds   // of their histograms

	unfinished string   // a finish_reason before the end
	done       string   // the stream's last line
	usage      template // $g
	noUsage    string   // in a chunk that has none
	completion wording
	chat       wording
}

// wording is one endpoint's answers; an empty template is not sent.
type wording struct {
	id     string   // what stands before the request's own
	role   template // the first chunk of a choice
	token  template // a chunk with text
	last   template // with the text of the last token
	end    template // after it
	total  template // the usage, if it was asked for
	whole  template // an answer that is no stream
	choice template // in it
}

// dialects are the engines that can be simulated. Sources: backends.md, e.1 to
// e.3 (vLLM), d.7 (SGLang) and "BladeLLM stream as in the original"; vLLM 0.32
// itself.
var dialects = map[string]*dialect{
	"vllm":     newVLLM(),
	"vllm-old": newOldVLLM(),
	"sglang":   newSGLang(),
	"bladellm": newBladeLLM(),
}

const (
	completionChunk = `{"id":$d,"object":"text_completion","created":$c,"model":$m,"choices":[`
	chatChunk       = `{"id":$d,"object":"chat.completion.chunk","created":$c,"model":$m,"choices":[`
	chatWhole       = `{"id":$d,"object":"chat.completion","created":$c,"model":$m,"choices":[$o]`
)

func newVLLM() *dialect {
	completionToken := newTemplate(completionChunk + `{"index":$i,"text":"$t","logprobs":null,"finish_reason":$f,"stop_reason":$s,` +
		`"prompt_token_ids":null,"token_ids":null}]$u}`)
	return &dialect{
		version: "0.32.0", owner: "vllm", families: vllmFamilies, rank: []string{"engine", "0"}, bounds: newBounds,
		unfinished: "null", done: "data: [DONE]\n\n",
		usage: newTemplate(`{"prompt_tokens":$p,"total_tokens":$a,"completion_tokens":$n,"prompt_tokens_details":{"cached_tokens":$h}}`),
		completion: wording{
			id:    "cmpl-",
			token: completionToken,
			last:  completionToken,
			total: newTemplate(completionChunk + `],"usage":$g}`),
			whole: newTemplate(completionChunk + `$o],"service_tier":null,"system_fingerprint":null,"usage":$g,"kv_transfer_params":null}`),
			choice: newTemplate(`{"index":$i,"text":"$t","logprobs":null,"finish_reason":$f,"stop_reason":$s,"token_ids":null,` +
				`"prompt_logprobs":null,"prompt_token_ids":null}`),
		},
		chat: wording{
			id:    "chatcmpl-",
			role:  newTemplate(chatChunk + `{"index":$i,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"prompt_token_ids":null$u}`),
			token: newTemplate(chatChunk + `{"index":$i,"delta":{"content":"$t"},"logprobs":null,"finish_reason":null,"token_ids":null}]$u}`),
			last:  newTemplate(chatChunk + `{"index":$i,"delta":{"content":"$t"},"logprobs":null,"finish_reason":$f,"stop_reason":$s,"token_ids":null}]$u}`),
			total: newTemplate(chatChunk + `],"usage":$g}`),
			whole: newTemplate(chatWhole + `,"service_tier":null,"system_fingerprint":null,"usage":$g,"prompt_logprobs":null,` +
				`"prompt_token_ids":null,"kv_transfer_params":null}`),
			choice: newTemplate(`{"index":$i,"message":{"role":"assistant","content":"$t","refusal":null,"annotations":null,"audio":null,` +
				`"function_call":null,"tool_calls":[],"reasoning":null},"logprobs":null,"finish_reason":$f,"stop_reason":$s,"token_ids":null}`),
		},
	}
}

// newOldVLLM is vLLM 0.6: V0's metrics, `"usage": null` in each chunk.
func newOldVLLM() *dialect {
	completionToken := newTemplate(completionChunk + `{"index":$i,"text":"$t","logprobs":null,"finish_reason":$f,"stop_reason":$s}]$u}`)
	return &dialect{
		version: "0.6.6", owner: "vllm", flatErrors: true, redirects: true, families: oldVLLMFamilies, bounds: oldBounds,
		unfinished: "null", done: "data: [DONE]\n\n", noUsage: `,"usage":null`,
		usage: newTemplate(`{"prompt_tokens":$p,"total_tokens":$a,"completion_tokens":$n}`),
		completion: wording{
			id:     "cmpl-",
			token:  completionToken,
			last:   completionToken,
			total:  newTemplate(completionChunk + `],"usage":$g}`),
			whole:  newTemplate(completionChunk + `$o],"usage":$g}`),
			choice: newTemplate(`{"index":$i,"text":"$t","logprobs":null,"finish_reason":$f,"stop_reason":$s,"prompt_logprobs":null}`),
		},
		chat: wording{
			id:    "chatcmpl-",
			role:  newTemplate(chatChunk + `{"index":$i,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]$u}`),
			token: newTemplate(chatChunk + `{"index":$i,"delta":{"content":"$t"},"logprobs":null,"finish_reason":null}]$u}`),
			last:  newTemplate(chatChunk + `{"index":$i,"delta":{"content":"$t"},"logprobs":null,"finish_reason":$f,"stop_reason":$s}]$u}`),
			total: newTemplate(chatChunk + `],"usage":$g}`),
			whole: newTemplate(chatWhole + `,"usage":$g,"prompt_logprobs":null}`),
			choice: newTemplate(`{"index":$i,"message":{"role":"assistant","content":"$t","tool_calls":[]},"logprobs":null,` +
				`"finish_reason":$f,"stop_reason":$s}`),
		},
	}
}

// newSGLang writes nulls out and ends a choice with a chunk of its own.
func newSGLang() *dialect {
	const (
		text  = `{"index":$i,"text":"$t","logprobs":null,"finish_reason":null,"matched_stop":null}]$u}`
		end   = `{"index":$i,"text":"","logprobs":null,"finish_reason":$f,"matched_stop":$s}]$u}`
		delta = `{"index":$i,"delta":{"role":null,"content":"$t","reasoning_content":null,"tool_calls":null},"logprobs":null,` +
			`"finish_reason":null,"matched_stop":null}]$u}`
	)
	return &dialect{
		version: "0.5.6", owner: "sglang", flatErrors: true, families: sglangFamilies, bounds: sglangBounds,
		rank:       []string{"engine_type", "unified", "tp_rank", "0", "pp_rank", "0", "moe_ep_rank", "0"},
		unfinished: "null", done: "data: [DONE]\n\n", noUsage: `,"usage":null`,
		usage: newTemplate(`{"prompt_tokens":$p,"total_tokens":$a,"completion_tokens":$n,"prompt_tokens_details":{"cached_tokens":$h},"reasoning_tokens":0}`),
		completion: wording{
			token:  newTemplate(completionChunk + text),
			last:   newTemplate(completionChunk + text),
			end:    newTemplate(completionChunk + end),
			total:  newTemplate(completionChunk + `],"usage":$g}`),
			whole:  newTemplate(completionChunk + `$o],"usage":$g,"metadata":{"weight_version":"default"}}`),
			choice: newTemplate(`{"index":$i,"text":"$t","logprobs":null,"finish_reason":$f,"matched_stop":$s}`),
		},
		chat: wording{
			role: newTemplate(chatChunk + `{"index":$i,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},` +
				`"logprobs":null,"finish_reason":null,"matched_stop":null}]$u}`),
			token: newTemplate(chatChunk + delta),
			last:  newTemplate(chatChunk + delta),
			end: newTemplate(chatChunk + `{"index":$i,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},` +
				`"logprobs":null,"finish_reason":$f,"matched_stop":$s}]$u}`),
			total: newTemplate(chatChunk + `],"usage":$g}`),
			whole: newTemplate(chatWhole + `,"usage":$g,"metadata":{"weight_version":"default"}}`),
			choice: newTemplate(`{"index":$i,"message":{"role":"assistant","content":"$t","reasoning_content":null,"tool_calls":null},` +
				`"logprobs":null,"finish_reason":$f,"matched_stop":$s}`),
		},
	}
}

// newBladeLLM is known by its stream of completions alone; the rest follows it.
func newBladeLLM() *dialect {
	const (
		text    = `{"id":$d,"choices":[{"finish_reason":$f,"index":$i,"logprobs":null,"text":"$t"}],"object":"text_completion","usage":$g,"error_info":null}`
		delta   = `{"id":$d,"choices":[{"finish_reason":$f,"index":$i,"logprobs":null,"delta":{"role":"assistant","content":"$t"}}],"object":"chat.completion.chunk","usage":$g,"error_info":null}`
		message = `{"finish_reason":$f,"index":$i,"logprobs":null,"message":{"role":"assistant","content":"$t"}}`
	)
	return &dialect{
		version: "bladellm", owner: "bladellm",
		unfinished: `""`, done: "[DONE]\n\n",
		usage: newTemplate(`{"prompt_tokens":$p,"completion_tokens":$n,"total_tokens":$a}`),
		completion: wording{
			token:  newTemplate(text),
			last:   newTemplate(text),
			whole:  newTemplate(`{"id":$d,"choices":[$o],"object":"text_completion","usage":$g,"error_info":null}`),
			choice: newTemplate(`{"finish_reason":$f,"index":$i,"logprobs":null,"text":"$t"}`),
		},
		chat: wording{
			token:  newTemplate(delta),
			last:   newTemplate(delta),
			whole:  newTemplate(`{"id":$d,"choices":[$o],"object":"chat.completion","usage":$g,"error_info":null}`),
			choice: newTemplate(message),
		},
	}
}
