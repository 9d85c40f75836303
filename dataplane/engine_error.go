package dataplane

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// engineError is an engine's own error with its status and the request's id in it; what is no JSON is
// wrapped.
func engineError(body []byte, status int, id string) []byte {
	var whole map[string]json.RawMessage
	var inner map[string]json.RawMessage
	if json.Unmarshal(body, &whole) == nil {
		if json.Unmarshal(whole["error"], &inner) != nil || inner == nil {
			inner = whole
		}
	}
	if inner == nil {
		return (&refusal{status: status, code: "instance_error", msg: clipText(body)}).message(id)
	}
	inner["status"] = json.RawMessage(strconv.Itoa(status))
	if text, err := json.Marshal(id); err == nil {
		inner["request_id"] = text
	}
	b, err := json.Marshal(map[string]any{"error": inner})
	if err != nil { // it was JSON
		return (&refusal{status: status, code: "instance_error", msg: clipText(body)}).message(id)
	}
	return b
}

// failureOf is the status of an event that is an engine's error, as it says or
// 502; 0: it is none.
func failureOf(event []byte) int {
	if !bytes.Contains(event, []byte(`"error"`)) { // nearly none: the rest is not read
		return 0
	}
	var e struct {
		Error map[string]json.RawMessage `json:"error"`
	}
	if json.Unmarshal(event, &e) != nil || e.Error == nil {
		return 0
	}
	if code, err := strconv.Atoi(string(e.Error["code"])); err == nil && code >= 400 && code < 600 {
		return code
	}
	return 502
}

// clipText is an engine's words, as far as they are worth passing on.
func clipText(b []byte) string {
	const most = 1 << 10
	return strings.ToValidUTF8(string(b[:min(len(b), most)]), "\uFFFD")
}
