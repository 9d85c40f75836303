package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// problem is an error answer.
type problem struct {
	status  int
	kind    string
	param   string
	message string
}

func badRequest(message string) problem {
	return problem{http.StatusBadRequest, "BadRequestError", "", message}
}

// invalid is what FastAPI's validation says of a body; vLLM passes it on as text.
func invalid(kind, field, message string) problem {
	where := "'body'"
	if field != "" {
		where += ", '" + field + "'"
	}
	return problem{http.StatusBadRequest, "Bad Request", "", fmt.Sprintf("[{'type': '%s', 'loc': (%s), 'msg': '%s'}]", kind, where, message)}
}

func missing(field string) problem { return invalid("missing", field, "Field required") }

func noModel(name string) problem {
	return problem{http.StatusNotFound, "NotFoundError", "model", fmt.Sprintf("The model `%s` does not exist.", name)}
}

func tooLong(prompt, most int) problem {
	return badRequest(fmt.Sprintf("This model's maximum context length is %d tokens. However, your request has %d input tokens. "+
		"Please reduce the length of the input messages.", most, prompt))
}

func tooManyTokens(asked, prompt, most int) problem {
	p := badRequest(fmt.Sprintf("'max_tokens' or 'max_completion_tokens' is too large: %d. This model's maximum context length is "+
		"%d tokens and your request has %d input tokens (%d > %d - %d).", asked, most, prompt, asked, most, prompt))
	p.param = "max_tokens"
	return p
}

func errorOf(status int, message string) problem {
	kinds := map[int]string{
		http.StatusNotFound: "NotFoundError", http.StatusInternalServerError: "InternalServerError",
		http.StatusServiceUnavailable: "ServiceUnavailableError",
	}
	kind := kinds[status]
	if kind == "" {
		kind = http.StatusText(status)
	}
	return problem{status, kind, "", message}
}

// fail answers with an error in the engine's shape: an object of its own until
// vLLM 0.10.0 and in SGLang, one within another since (vllm-project/vllm#22099).
func (i *Instance) fail(w http.ResponseWriter, p problem) {
	inner := struct {
		Object  string  `json:"object,omitempty"`
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    int     `json:"code"`
	}{Message: p.message, Type: p.kind, Code: p.status}
	if p.param != "" {
		inner.Param = &p.param
	}
	if i.dialect.flatErrors {
		inner.Object = "error"
		reply(w, p.status, inner)
		return
	}
	reply(w, p.status, map[string]any{"error": inner})
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) { reply(w, http.StatusOK, v) }

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only what this package makes is sent
		panic(err)
	}
	replyBytes(w, status, "application/json", body)
}

func replyBytes(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left is seen elsewhere
}
