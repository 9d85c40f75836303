// Package sim serves simulated inference engines over HTTP: bench/model in real
// time, behind the endpoints, streams, error bodies and metrics of vLLM (new
// and old), SGLang and BladeLLM, with faults on demand (INTERFACE.md, "The
// simulator"). `penstock sim` and `penstock demo` are thin callers of Start.
//
// An Instance has three kinds of goroutines. Its driver runs the model's steps
// with one timer, whatever the number of streams. net/http's goroutine of a
// connection parses a request, hands it to the model and writes its tokens,
// all that a step brought in one write. The third accepts. The model is guarded
// by Instance.mu, which nobody holds over I/O; Close waits for all of them.
//
// The server is net/http's and not fasthttp's because an engine must know at
// once that its client left, and net/http watches the connection while a
// request is served; fasthttp does not (valyala/fasthttp#965).
//
// A WebSocket (/v1/echo, /v1/realtime) is read by its connection's goroutine; an
// utterance of speech has one of its own for as long as it lasts.
//
// What it says of BladeLLM beyond the stream, which backends.md quotes, is made
// up. It has no weights, no sampling parameters, no logprobs, tools or images:
// such fields are accepted and change nothing. No KV events yet.
package sim
