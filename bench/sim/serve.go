package sim

import (
	"bytes"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
)

// route is one path: what each method does, and whether it is a request for the
// engine, which is counted and meets the faults.
type route struct {
	methods map[string]http.HandlerFunc
	work    bool
}

// table is what the engine serves.
func (i *Instance) table() map[string]route {
	get := func(h http.HandlerFunc) route { return route{methods: map[string]http.HandlerFunc{http.MethodGet: h}} }
	post := func(h http.HandlerFunc) route { return route{methods: map[string]http.HandlerFunc{http.MethodPost: h}} }
	work := func(h http.HandlerFunc) route { r := post(h); r.work = true; return r }
	socket := func(h socketHandler) route { r := get(i.socket(h)); r.work = true; return r }
	t := map[string]route{
		"/v1/completions":      work(i.completions),
		"/v1/chat/completions": work(i.chatCompletions),
		"/v1/embeddings":       work(i.embeddings),
		"/tokenize":            post(i.tokenize),
		"/detokenize":          post(i.detokenize),
		"/v1/models":           get(i.models),
		"/health":              get(i.health),
		"/ping":                {methods: map[string]http.HandlerFunc{http.MethodGet: i.health, http.MethodPost: i.health}},
		"/version":             get(i.version),
		"/load":                get(i.load),
		"/v1/echo":             socket(echo),
		"/_sim/stats":          get(i.getStats),
		"/_sim/fault":          {methods: map[string]http.HandlerFunc{http.MethodPost: i.postFault, http.MethodDelete: i.deleteFault}},
	}
	if i.dialect.families != nil {
		t["/metrics"], t["/metrics/"] = get(i.metrics), get(i.exporter)
	}
	if i.config.Engine == "vllm" {
		t["/v1/realtime"] = socket(i.realtime)
	}
	if i.config.Engine == "sglang" {
		t["/health_generate"] = get(i.health)
		t["/server_info"], t["/get_server_info"] = get(i.serverInfo), get(i.serverInfo)
		t["/v1/loads"] = get(i.loads)
	}
	return t
}

func (i *Instance) serve(w http.ResponseWriter, r *http.Request) {
	at, ok := i.routes[r.URL.Path]
	if !ok {
		i.fail(w, errorOf(http.StatusNotFound, "Not Found"))
		return
	}
	handle := at.methods[r.Method]
	if handle == nil {
		i.fail(w, errorOf(http.StatusMethodNotAllowed, "Method Not Allowed"))
		return
	}
	if f, _ := i.fault.get(); f.Kind == faultReset && !strings.HasPrefix(r.URL.Path, "/_sim/") {
		reset(connOf(r))
		panic(http.ErrAbortHandler)
	}
	if i.hasFault(faultScaling) && !strings.HasPrefix(r.URL.Path, "/_sim/") {
		reply(w, http.StatusServiceUnavailable, map[string]string{"error": "The model is currently scaling. Please try again later."})
		return
	}
	if !i.admitted(r) {
		reply(w, http.StatusUnauthorized, map[string]string{"error": "Unauthorized"})
		return
	}
	if at.work {
		i.requests.Add(1)
		i.inFlight.Add(1)
		defer i.inFlight.Add(-1)
		if i.hasFault(faultLoading) {
			i.fail(w, errorOf(http.StatusServiceUnavailable, "Loading model"))
			return
		}
		if f, _ := i.fault.get(); f.Kind == faultStatus {
			if u, _ := i.roll(); u < f.Ratio {
				_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)) // else the connection is lost
				i.fail(w, errorOf(f.Code, "The engine is currently busy. Please retry on another instance."))
				return
			}
		}
	}
	handle(w, r)
}

// admitted checks the key, which vLLM wants under /v1 only.
func (i *Instance) admitted(r *http.Request) bool {
	if i.config.APIKey == "" || !strings.HasPrefix(r.URL.Path, "/v1/") {
		return true
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(key), []byte(i.config.APIKey)) == 1
}

// maxBody is the largest request that is read.
const maxBody = 64 << 20

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepBody is the largest buffer that is kept for later.
const keepBody = 4 << 20

// read decodes a request's body into v; it has answered if it returns false. It
// reads to the last byte: only from then on does net/http see a client leave.
func (i *Instance) read(w http.ResponseWriter, r *http.Request, v any) bool {
	b := bodies.Get().(*bytes.Buffer)
	defer func() {
		if b.Cap() <= keepBody {
			b.Reset()
			bodies.Put(b)
		}
	}()
	_, err := b.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		i.fail(w, errorOf(http.StatusRequestEntityTooLarge, "Request Entity Too Large"))
		return false
	case err != nil:
		i.fail(w, badRequest("reading the body: "+err.Error()))
		return false
	}
	err = json.Unmarshal(b.Bytes(), v) // what it keeps, it copies
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return true
	case errors.As(err, &syntax):
		i.fail(w, invalid("json_invalid", "", "JSON decode error"))
	default:
		i.fail(w, invalid("value_error", "", err.Error()))
	}
	return false
}
