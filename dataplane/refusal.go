package dataplane

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
)

// refusal is an answer of the router's own: why a request was not served.
type refusal struct {
	status int
	code   string // of INTERFACE.md, in the body and in X-Penstock-Error
	reason reason // of penstock_request_errors_total
	msg    string
	param  string // the field of the request that is at fault
	allow  string // for 405
	retry  int    // seconds for Retry-After; 0: none
	head   []byte // further lines of the answer's head
}

func (r *refusal) Error() string { return r.msg }

// reason is one of the closed list of penstock_request_errors_total.
type reason uint8

const (
	reasonBadRequest reason = iota
	reasonAuth
	reasonForbidden
	reasonNotFound
	reasonTooLarge
	reasonQueueFull
	reasonQueueTimeout
	reasonRateLimited
	reasonNoInstance
	reasonInstanceFailed
	reasonInstanceTimeout
	reasonClientGone
	reasonDraining
	reasonInternal
	reasons
)

var reasonNames = [reasons]string{
	"bad_request", "auth", "forbidden", "not_found", "too_large", "queue_full", "queue_timeout",
	"rate_limited", "no_instance", "instance_failed", "instance_timeout", "client_gone", "draining", "internal",
}

// refuseLate says that the promised time to a first token cannot be kept, and
// how long it would take.
func refuseLate(predicted float64) *refusal {
	return &refusal{status: 429, code: "slo_missed", reason: reasonQueueFull, retry: int(min(max(math.Ceil(predicted), 1), 3600)),
		msg: "no instance could begin the answer within the promised time (slo.ttft); try again later"}
}

// Refusals that say the same every time.
var (
	refuseDraining = &refusal{status: 503, code: "draining", reason: reasonDraining, retry: 1,
		msg: "the router is shutting down; try another one"}
	refuseQueueFull = &refusal{status: 429, code: "queue_full", reason: reasonQueueFull, retry: 1,
		msg: "every instance is busy and the queue is full; try again later"}
	refuseQueueTimeout = &refusal{status: 429, code: "queue_timeout", reason: reasonQueueTimeout, retry: 1,
		msg: "every instance stayed busy for as long as a request may wait; try again later"}
	refuseNoInstance = &refusal{status: 503, code: "no_instance", reason: reasonNoInstance, retry: 1,
		msg: "no instance is alive to serve this request"}
	refuseAllDrain = &refusal{status: 503, code: "no_instance", reason: reasonNoInstance, retry: 1,
		msg: "every instance drains and takes nothing new"}
	refuseWanting = &refusal{status: 503, code: "no_instance", reason: reasonInternal, retry: 1,
		msg: "the router has no connection left to give; its log says more"}
	refuseHeld = &refusal{status: 429, code: "queue_full", reason: reasonQueueFull, retry: 1,
		msg: "the router holds as many request bytes as it may (limits.held_bytes); try again later"}
	refuseSlowHead = &refusal{status: 408, code: "request_timeout", reason: reasonBadRequest,
		msg: "the request's headers did not arrive in time"}
	refuseSlowBody = &refusal{status: 408, code: "request_timeout", reason: reasonBadRequest,
		msg: "the request's body did not arrive in time"}
	refuseLargeHead = &refusal{status: 431, code: "headers_too_large", reason: reasonBadRequest,
		msg: "the request's headers are larger than limits.header_bytes"}
	refuseInternal = &refusal{status: 500, code: "internal", reason: reasonInternal,
		msg: "the router failed; its log says how"}
)

func badRequest(param, msg string) *refusal {
	return &refusal{status: 400, code: "invalid_request", reason: reasonBadRequest, param: param, msg: msg}
}

// kind is OpenAI's "type": its clients choose their exception by status alone,
// people read this.
func (r *refusal) kind() string {
	switch {
	case r.status == 401:
		return "authentication_error"
	case r.status == 403:
		return "permission_error"
	case r.status == 429:
		return "rate_limit_error"
	case r.status < 500:
		return "invalid_request_error"
	}
	return "server_error"
}

// object is r in OpenAI's shape: {"error":{"message","type","param","code"}}.
func (r *refusal) object() []byte { return r.objectOf(0, 0, "") }

// message is r as a WebSocket's message: with what a head says else.
func (r *refusal) message(id string) []byte { return r.objectOf(r.status, r.retry, id) }

func (r *refusal) objectOf(status, retry int, id string) []byte {
	type inner struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code"`
		Status  int     `json:"status,omitempty"`
		Retry   int     `json:"retry_after,omitempty"` // seconds
		ID      string  `json:"request_id,omitempty"`
	}
	in := inner{Message: r.msg, Type: r.kind(), Code: r.code, Status: status, Retry: retry, ID: id}
	if r.param != "" {
		in.Param = &r.param
	}
	b, err := json.Marshal(struct {
		Error inner `json:"error"`
	}{in})
	if err != nil { // strings always marshal
		panic(err)
	}
	return b
}

// appendTo writes r as a whole HTTP answer.
func (r *refusal) appendTo(dst []byte, minor int, id []byte, close bool) []byte {
	body := r.object()
	dst = appendStatus(dst, minor, r.status)
	dst = append(dst, "Content-Type: application/json\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\nX-Penstock-Error: "...)
	dst = append(dst, r.code...)
	if len(id) > 0 {
		dst = append(dst, "\r\nX-Request-Id: "...)
		dst = append(dst, id...)
	}
	if r.retry > 0 {
		dst = append(dst, "\r\nRetry-After: "...)
		dst = strconv.AppendInt(dst, int64(r.retry), 10)
	}
	if r.allow != "" {
		dst = append(dst, "\r\nAllow: "...)
		dst = append(dst, r.allow...)
	}
	dst = append(dst, "\r\n"...)
	dst = append(dst, r.head...)
	dst = appendConnection(dst, minor, close)
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

func appendStatus(dst []byte, minor, status int) []byte {
	dst = append(dst, "HTTP/1."...)
	dst = append(dst, byte('0'+minor), ' ')
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	return append(dst, "\r\n"...)
}

// appendConnection says what HTTP/1.0 and 1.1 do not take for granted.
func appendConnection(dst []byte, minor int, close bool) []byte {
	switch {
	case close:
		return append(dst, "Connection: close\r\n"...)
	case minor == 0:
		return append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}
